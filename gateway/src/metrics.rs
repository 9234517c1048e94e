//! Every metric of the gateway: its name is here, with unit and help.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Bytes of blocks accepted, plain and transactional.
pub const APPENDED_BYTES: &str = "sluice_appended_bytes_total";
/// Events accepted, plain and transactional.
pub const APPENDED_EVENTS: &str = "sluice_appended_events_total";
/// Commit groups committed.
pub const COMMITS: &str = "sluice_commits_total";
/// Time a commit takes in the engine.
pub const COMMIT_SECONDS: &str = "sluice_commit_seconds";
/// Events of prepared transactions that a later commit superseded.
pub const SUPERSEDED_EVENTS: &str = "sluice_superseded_events_total";
/// Size of all log files.
pub const LOG_BYTES: &str = "sluice_log_bytes";
/// Committed bytes that wait to be published as Parquet.
pub const UNPUBLISHED_BYTES: &str = "sluice_unpublished_bytes";
/// Above so many unpublished bytes writers are held back.
pub const UNPUBLISHED_LIMIT_BYTES: &str = "sluice_unpublished_limit_bytes";
/// Parquet files published.
pub const PUBLISHED_FILES: &str = "sluice_published_files_total";
/// Bytes of Parquet files published.
pub const PUBLISHED_BYTES: &str = "sluice_published_bytes_total";
/// Events sent to readers.
pub const READ_EVENTS: &str = "sluice_read_events_total";
/// Bytes of blocks sent to readers.
pub const READ_BYTES: &str = "sluice_read_bytes_total";
/// Transactions in a state.
pub const TRANSACTIONS: &str = "sluice_transactions";
/// Age of the oldest prepared transaction.
pub const PREPARED_AGE_SECONDS: &str = "sluice_prepared_age_seconds";

/// Registers unit and help of every metric with the installed recorder.
pub fn describe() {
    describe_counter!(APPENDED_BYTES, Unit::Bytes, "Bytes of blocks accepted, plain and transactional");
    describe_counter!(APPENDED_EVENTS, Unit::Count, "Events accepted, plain and transactional");
    describe_counter!(COMMITS, Unit::Count, "Commit groups committed");
    describe_histogram!(COMMIT_SECONDS, Unit::Seconds, "Time a commit takes, from its arrival to its answer");
    describe_counter!(SUPERSEDED_EVENTS, Unit::Count, "Events of prepared transactions that a later commit superseded");
    describe_gauge!(LOG_BYTES, Unit::Bytes, "Size of all log files");
    describe_gauge!(UNPUBLISHED_BYTES, Unit::Bytes, "Committed bytes that wait to be published as Parquet");
    describe_gauge!(UNPUBLISHED_LIMIT_BYTES, Unit::Bytes, "Above so many unpublished bytes writers are held back");
    describe_counter!(PUBLISHED_FILES, Unit::Count, "Parquet files published");
    describe_counter!(PUBLISHED_BYTES, Unit::Bytes, "Bytes of Parquet files published");
    describe_counter!(READ_EVENTS, Unit::Count, "Events sent to readers");
    describe_counter!(READ_BYTES, Unit::Bytes, "Bytes of blocks sent to readers");
    describe_gauge!(TRANSACTIONS, Unit::Count, "Transactions by state: open or prepared");
    describe_gauge!(PREPARED_AGE_SECONDS, Unit::Seconds, "Age of the oldest prepared transaction");
}
