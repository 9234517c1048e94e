package io.sluice.flink.sink;

import org.apache.flink.annotation.PublicEvolving;

/** What a new job without state does when its sink id has been used before. */
@PublicEvolving
public enum FreshStart {
    /** It goes on after what is committed. Prepared leftovers of earlier jobs are named in the log. */
    ALLOW,
    /** It fails: start it from a savepoint or with another sink id. */
    REFUSE
}
