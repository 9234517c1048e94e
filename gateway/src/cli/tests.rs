//! The command line as a whole, as far as it needs no gateway.

use clap::CommandFactory as _;

use super::*;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_and_flag_is_explained() {
    fn check(command: &clap::Command) {
        assert!(command.get_about().is_some(), "{} has no help", command.get_name());
        for argument in
            command.get_arguments().filter(|argument| !["help", "version"].contains(&argument.get_id().as_str()))
        {
            assert!(argument.get_help().is_some(), "{} {} has no help", command.get_name(), argument.get_id());
        }
        command.get_subcommands().for_each(check);
    }
    check(&Cli::command());
}

#[test]
fn commands_of_the_manual_parse() {
    for line in [
        "sluice serve --listen 127.0.0.1:0 --data-dir d --set log.sync_bytes=16MiB",
        "sluice scope create nyc",
        "sluice stream create nyc/flights --segments 4 --schema carrier_STRING_NOT_NULL --routing-key carrier,flight",
        "sluice stream flush nyc/flights",
        "sluice write nyc/flights flights.csv --transaction --sink nyc/import --null NA",
        "sluice read nyc/flights --from 0:12,1:7 --limit 5 --follow --format csv --positions",
        "sluice --output json txn list --state prepared,open --sink nyc/job",
        "sluice txn abort 0190e0c8-0000-7000-8000-000000000000",
        "sluice sink show nyc/job",
        "sluice group create nyc/g --stream nyc/a --stream nyc/b --from latest",
        "sluice group reset nyc/g --checkpoint 7",
        "sluice scan nyc/flights --output json",
        "sluice admin status",
        "sluice admin verify",
        "sluice admin verify --data-dir sluice-data",
        "sluice admin backup /backup",
        "sluice admin restore /backup sluice-data",
        "sluice admin rebuild-index sluice-data",
        "sluice bench --events 1000 --event-bytes 1024 --producers 2 --commit-interval 500ms",
        "sluice bench fan-in --producers 1000 --connections 8 --rate 150000 --duration 20s",
    ] {
        // Blanks inside one argument.
        let words =
            line.split(' ').map(|word| if word.contains("_STRING_") { word.replace('_', " ") } else { word.into() });
        if let Err(error) = Cli::try_parse_from(words) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn wrong_arguments_are_refused_with_a_reason() {
    for (line, part) in [
        ("sluice stream create flights", "scope/stream"),
        ("sluice stream create nyc/Flights", "must start with a-z or 0-9"),
        ("sluice stream create nyc/f --segments 0", "0 is not in 1..=1024"),
        ("sluice stream create nyc/f --schema x", "a type is expected at the end"),
        ("sluice read nyc/f --from now", "earliest"),
        ("sluice --timeout 10 scope list", "10s"),
        ("sluice txn abort x", "invalid"),
        ("sluice group reset nyc/g", "--to"),
        ("sluice write nyc/f x.csv --sink nyc/s", "--transaction"),
    ] {
        let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
        assert!(error.to_string().contains(part), "{line}: {error}");
    }
}
