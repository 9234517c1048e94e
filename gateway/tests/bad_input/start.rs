//! Gateways that must not start: one sentence, an exit code, and nothing is touched.

use std::{collections::BTreeMap, path::Path};

use crate::{
    support::{Run, free_address, serve},
    world::World,
};

/// All files below a folder, with their lengths.
fn files(folder: &Path) -> BTreeMap<std::path::PathBuf, u64> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path())),
            false => drop(found.insert(entry.path(), entry.metadata().unwrap().len())),
        }
    }
    found
}

fn refused(run: &Run, parts: &[&str]) {
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.err);
    assert!(run.err.starts_with("error: ") && run.err.lines().count() == 1, "{}", run.err);
    for part in parts {
        assert!(run.err.contains(part), "{} lacks {part}", run.err);
    }
}

#[tokio::test]
async fn a_second_gateway_on_the_same_data_directory_is_refused() {
    let world = World::new().await;
    let before = world.state().await;
    let pid = format!("pid {}", world.gateway.pid());
    let data = world.gateway.data();
    let second = serve(&data, free_address(), free_address());
    refused(&second, &[data.to_str().unwrap(), "in use by another process", &pid]);
    world.assert_unchanged(&before).await;
}

#[tokio::test]
async fn a_port_in_use_is_named_before_any_data_is_touched() {
    let world = World::new().await;
    let before = world.state().await;
    let data = world.gateway.folder().join("second");
    let taken = world.gateway.listen();
    for (listen, http, key) in [(taken, free_address(), "listen = "), (free_address(), taken, "http_listen = ")] {
        refused(&serve(&data, listen, http), &[key, &taken.to_string(), "another process uses it"]);
        assert!(!data.exists());
    }
    world.assert_unchanged(&before).await;
}

#[tokio::test]
async fn data_of_a_newer_or_unknown_format_is_left_alone() {
    let mut world = World::new().await;
    let data = world.gateway.data();
    world.gateway.kill();
    let format = std::fs::read_to_string(data.join("format")).unwrap();
    let start = |content: &str, parts: &[&str]| {
        std::fs::write(data.join("format"), content).unwrap();
        let before = files(&data);
        refused(&serve(&data, free_address(), free_address()), &[&[data.to_str().unwrap()], parts].concat());
        // The lock file may be written anew; it holds the process's number.
        let without_lock = |mut files: BTreeMap<_, _>| {
            files.remove(&data.join("lock"));
            files
        };
        assert_eq!(without_lock(files(&data)), without_lock(before));
    };
    start("sluice-data 2\n", &["format 2", "use the newer program"]);
    start("sluice-data 18446744073709551615\n", &["use the newer program"]);
    start("something else", &["is not understood"]);
    std::fs::write(data.join("format"), format).unwrap();
    world.gateway.restart();
    assert_eq!(world.gateway.run("read demo/log").ok(), "{\"value\":\"a\"}\n{\"value\":\"b\"}\n");
}
