package io.sluice.flink.data;

import org.apache.flink.annotation.Internal;

/** A row holds a value its stream can't. The message names the column. */
@Internal
public final class InvalidRowException extends IllegalArgumentException {

    private static final long serialVersionUID = 1L;

    InvalidRowException(String path, String what) {
        super("column '" + path + "' " + what);
    }
}
