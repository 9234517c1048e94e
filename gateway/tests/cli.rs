//! Every command against a real gateway: what it prints, where it prints it, and how it ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use serde_json::Value;
use support::{Gateway, sluice};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn scopes_and_streams_come_and_go() {
    let gateway = Gateway::start();
    let created = gateway.run("scope create nyc");
    assert_eq!((created.code, created.out.as_str(), created.err.as_str()), (0, "", "scope nyc created\n"));
    assert_eq!(json(&gateway.run("scope create nyc --output json").ok())["created"], false);
    assert_eq!(gateway.run("scope list").ok(), "SCOPE\nnyc\n");

    let create = "stream create nyc/flights --segments 4 --schema 'carrier STRING NOT NULL, distance INT' --routing-key carrier --label owner=ops";
    assert_eq!(gateway.run(create).err, "stream nyc/flights created, with 4 segments\n");
    assert_eq!(gateway.run(create).err, "stream nyc/flights is there already, with 4 segments\n");
    let other = gateway.run(
        "stream create nyc/flights --segments 2 --schema 'carrier STRING NOT NULL, distance INT' --routing-key carrier",
    );
    assert_eq!(other.code, 5, "{}", other.err);

    let described = json(&gateway.run("stream describe nyc/flights --output json").ok());
    assert_eq!(described["schema"], "`carrier` STRING NOT NULL, `distance` INT");
    assert_eq!(described["segments"].as_array().unwrap().len(), 4);
    assert_eq!((&described["labels"]["owner"], &described["state"]), (&"ops".into(), &"active".into()));
    assert!(gateway.run("stream list nyc").ok().contains("nyc/flights  active  carrier"));

    let refused = gateway.run("scope delete nyc");
    assert_eq!(refused.code, 5);
    assert!(refused.err.starts_with("error: ") && refused.err.lines().count() == 1, "{}", refused.err);
    gateway.run("stream seal nyc/flights").ok();
    let sealed = gateway.run_with("write nyc/flights", "{\"carrier\":\"UA\"}\n");
    assert!(sealed.code == 5 && sealed.err.contains("sealed"), "{}", sealed.err);
    gateway.run("stream delete nyc/flights").ok();
    assert_eq!(gateway.run("stream describe nyc/flights").code, 3);
    gateway.run("scope delete nyc").ok();
    assert_eq!(json(&gateway.run("scope list --output json").ok()), json("[]"));
}

#[test]
fn rows_go_in_and_come_out_in_every_form() {
    let gateway = Gateway::start();
    gateway.run("scope create nyc").ok();
    gateway
        .run(
            "stream create nyc/f --schema 'carrier STRING NOT NULL, distance INT, at TIMESTAMP(3), tags ARRAY<STRING>'",
        )
        .ok();
    let csv = "carrier,distance,at,tags\nUA,12,2013-01-01 05:00:00,\"[\"\"a\"\"]\"\nAA,,,\n";
    assert!(gateway.run_with("write nyc/f --format csv", csv).err.starts_with("2 events written to nyc/f"));
    let written =
        gateway.run_with("write nyc/f --transaction --output json", "{\"carrier\":\"B6\",\"distance\":-1}\n").ok();
    assert_eq!(json(&written)["events"], 1);

    let lines = "\
{\"carrier\":\"UA\",\"distance\":12,\"at\":\"2013-01-01T05:00:00\",\"tags\":[\"a\"]}
{\"carrier\":\"AA\",\"distance\":null,\"at\":null,\"tags\":null}
{\"carrier\":\"B6\",\"distance\":-1,\"at\":null,\"tags\":null}
";
    assert_eq!(gateway.run("read nyc/f").ok(), lines);
    assert_eq!(gateway.run("read nyc/f --from 0:1 --limit 1").ok(), lines.lines().nth(1).unwrap().to_string() + "\n");
    assert_eq!(gateway.run("read nyc/f --from latest").ok(), "");
    assert_eq!(gateway.run("read nyc/f --from 2000-01-01T00:00:00Z").ok(), lines);
    let as_csv = gateway.run("read nyc/f --format csv --positions --null NULL").ok();
    let first = as_csv.lines().nth(1).unwrap();
    assert!(first.starts_with("0,0,") && first.ends_with(",UA,12,2013-01-01T05:00:00,\"[\"\"a\"\"]\""), "{as_csv}");
    assert!(as_csv.lines().nth(2).unwrap().ends_with(",AA,NULL,NULL,NULL"), "{as_csv}");

    // What was read can be written: JSON lines, and Parquet as the gateway publishes it.
    gateway.run("stream create nyc/again --schema 'carrier STRING NOT NULL, distance INT, at TIMESTAMP(3), tags ARRAY<STRING>'").ok();
    gateway.run_with("write nyc/again", lines).ok();
    gateway.run("stream flush nyc/f").ok();
    let plan = json(&gateway.run("scan nyc/f --output json").ok());
    let file = plan["files"][0]["path"].as_str().unwrap();
    gateway.run(&format!("write nyc/again {file}")).ok();
    assert_eq!(gateway.run("read nyc/again").ok(), format!("{lines}{lines}"));

    let beyond = gateway.run("read nyc/f --from 0:4");
    assert!(beyond.code == 2 && beyond.err.contains("ends at 3, offset 4 lies beyond"), "{}", beyond.err);
}

#[test]
fn streams_of_bytes_take_lines_and_keyed_json() {
    let gateway = Gateway::start();
    gateway.run("scope create demo").ok();
    gateway.run("stream create demo/log").ok();
    gateway.run_with("write demo/log", "hello\n\nworld").ok();
    let keyed = "{\"key\":\"k\",\"value\":{\"x\":1.0},\"event_time\":5,\"headers\":{\"a\":\"b\"}}\n{\"value_base64\":\"/w==\"}\n";
    gateway.run_with("write demo/log --format jsonl", keyed).ok();
    let expected = "\
{\"value\":\"hello\"}
{\"value\":\"\"}
{\"value\":\"world\"}
{\"key\":\"k\",\"value\":\"{\\\"x\\\":1.0}\",\"event_time\":\"1970-01-01T00:00:00.005Z\",\"headers\":{\"a\":\"b\"}}
{\"value_base64\":\"/w==\"}
";
    assert_eq!(gateway.run("read demo/log").ok(), expected);
}

#[test]
fn bad_input_is_named_and_a_transaction_leaves_nothing() {
    let gateway = Gateway::start();
    gateway.run("scope create demo").ok();
    gateway.run("stream create demo/s --schema 'a INT, t STRING'").ok();
    // Enough good rows that some were sent before the bad one is read.
    let good = format!("{{\"a\":1,\"t\":\"{}\"}}\n", "x".repeat(100));
    let input = good.repeat(20_000) + "{\"a\":\"x\"}\n";
    let failed = gateway.run_with("write demo/s --transaction", &input);
    assert_eq!(failed.code, 2);
    assert_eq!(failed.err, "error: stdin line 20001, column `a`: `x` is no INT; nothing was written\n");
    assert_eq!(gateway.run("read demo/s").ok(), "");
    let aborted = json(&gateway.run("txn list --state aborted --output json").ok());
    assert_eq!(aborted[0]["abort_reason"], "CLIENT", "{aborted}");

    assert_eq!(gateway.run("write demo/none").code, 3);
    assert_eq!(gateway.run("write demo/s /nowhere.csv").code, 2);
    let unreachable = sluice("--timeout 300ms scope list", "", "http://127.0.0.1:1");
    assert_eq!(unreachable.code, 4);
    assert!(unreachable.err.contains("http://127.0.0.1:1"), "{}", unreachable.err);
}

#[test]
fn transactions_sinks_and_groups_are_shown() {
    let gateway = Gateway::start();
    gateway.run("scope create demo").ok();
    gateway.run("stream create demo/s").ok();
    gateway.run_with("write demo/s --transaction --sink demo/import", "a\nb\n").ok();
    let committed = json(&gateway.run("txn list --state committed --sink demo/import --output json").ok());
    let id = committed[0]["transaction"].as_str().unwrap();
    assert!(gateway.run(&format!("txn show {id}")).ok().contains("state        committed"));
    assert_eq!(gateway.run(&format!("txn abort {id}")).code, 5);
    assert_eq!(json(&gateway.run("sink list --output json").ok())[0]["sink"], "demo/import");
    assert_eq!(json(&gateway.run("sink show demo/import --output json").ok())["head_checkpoint"], 1);

    gateway.run("group create demo/g --stream demo/s").ok();
    let lag = |expected: u64| {
        let shown = json(&gateway.run("group show demo/g --output json").ok());
        let total: u64 = shown["lag"].as_array().unwrap().iter().map(|lag| lag["events"].as_u64().unwrap()).sum();
        assert_eq!(total, expected, "{shown}");
    };
    lag(2);
    gateway.run("group checkpoint demo/g 7").ok();
    gateway.run("group reset demo/g --to latest").ok();
    lag(0);
    gateway.run("group reset demo/g --checkpoint 7").ok();
    lag(2);
    gateway.run("group reset demo/g --to 0:1").ok();
    lag(1);
    assert_eq!(gateway.run("group reset demo/g --checkpoint 8").code, 3);
    assert!(gateway.run("group list").ok().contains("demo/g  demo/s"));
    gateway.run("group delete demo/g").ok();
    assert_eq!(gateway.run("group show demo/g").code, 3);
}

#[test]
fn a_data_directory_is_verified_backed_up_restored_and_its_index_rebuilt() {
    let mut gateway = Gateway::start();
    gateway.run("scope create demo").ok();
    gateway.run("stream create demo/s").ok();
    gateway.run_with("write demo/s", "a\nb\n").ok();
    assert!(gateway.run("admin verify").ok().starts_with("nothing is damaged"));
    assert_eq!(json(&gateway.run("admin status --output json").ok())["last_commit_seq"], 1);
    let folder = gateway.folder().to_path_buf();
    let (data, backup, restored) = (folder.join("data"), folder.join("backup"), folder.join("restored"));
    gateway.run(&format!("admin backup {}", backup.display())).ok();
    let in_use = gateway.run(&format!("admin rebuild-index {}", data.display()));
    assert!(in_use.code == 1 && in_use.err.contains("in use"), "{}", in_use.err);
    gateway.run_with("write demo/s", "c\n").ok();

    gateway.kill();
    gateway.run(&format!("admin restore {} {}", backup.display(), restored.display())).ok();
    for (folder, events) in [(&restored, 2), (&data, 3)] {
        assert_eq!(gateway.run(&format!("admin verify --data-dir {}", folder.display())).code, 0);
        gateway.run(&format!("admin rebuild-index {}", folder.display())).ok();
        if *folder == data {
            gateway.crash_and_restart();
            assert_eq!(gateway.run("read demo/s").ok().lines().count(), events);
        }
    }
    assert_eq!(gateway.run("admin rebuild-index /nowhere").code, 2);
}

#[test]
fn a_flipped_bit_is_found() {
    let mut gateway = Gateway::start();
    gateway.run("scope create demo").ok();
    gateway.run("stream create demo/s").ok();
    gateway.run_with("write demo/s", &"some text that lies in the log\n".repeat(100)).ok();
    // Behind damage at the very end a crash could lie; in the middle nothing explains it.
    gateway.run_with("write demo/s", "more").ok();
    gateway.kill();
    let data = gateway.folder().join("data");
    let log = std::fs::read_dir(data.join("log")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&log).unwrap();
    let at = bytes.windows(14).position(|window| window == b"some text that").unwrap();
    bytes[at] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let found = gateway.run(&format!("admin verify --data-dir {} --output json", data.display()));
    assert_eq!(found.code, 6, "{}", found.err);
    let damage = &json(&found.out)["damage"];
    assert!(damage.as_array().is_some_and(|damage| !damage.is_empty()), "{}", found.out);
}

#[test]
fn bench_measures_and_cleans_up() {
    let gateway = Gateway::start();
    let folder = gateway.folder().display().to_string();
    let line = format!("bench --events 20000 --producers 2 --commit-interval 50ms --disk-dir {folder} --output json");
    let report = json(&gateway.run(&line).ok());
    for part in ["write", "read"] {
        assert!(report[part]["events_per_second"].as_u64().unwrap() > 0, "{report}");
    }
    assert!(report["disk"]["bytes_per_second"].as_u64().unwrap() > 0);
    assert!(report["gateway"]["peak_bytes"].as_u64().unwrap() > 0);
    let line = "bench --events 1050 --transaction-events 100 --commit-interval 1d --write-only --output json";
    let report = json(&gateway.run(line).ok());
    assert_eq!(report["write"]["commits"], 11, "{report}");
    assert!(report["read"].is_null() && report["disk"].is_null(), "{report}");
    assert!(report["write"]["commit_ms_p99"].as_f64().unwrap() > 0.0, "{report}");
    let line = "bench fan-in --producers 20 --connections 3 --duration 1s --rate 2000 --output json";
    let report = json(&gateway.run(line).ok());
    assert_eq!(report["events"], 2000, "{report}");
    assert!(report["acknowledged_ms_p99"].as_f64().unwrap() > 0.0, "{report}");
    assert_eq!(json(&gateway.run("stream list bench --output json").ok()), json("[]"));
    assert!(gateway.run("bench --empty-streams 300").err.starts_with("300 empty streams created"));
    assert_eq!(json(&gateway.run("stream list bench --output json").ok()).as_array().unwrap().len(), 300);
}
