//! `sluice admin`.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use sluice_client::wire::{Damage, GetStatusResponse};

use super::{
    Context,
    exit::{Failure, Outcome},
    output::{Table, emit, id, size, time},
    scope::done,
};

#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Show what the gateway is and how it does
    Status,
    /// Read everything back and check it: log, index and Parquet files
    Verify {
        /// A data directory that no gateway uses, on this machine; without it: the running gateway's
        #[arg(long, value_name = "DIRECTORY")]
        data_dir: Option<PathBuf>,
    },
    /// Copy a consistent state of a running gateway's data directory
    Backup {
        /// A directory on the gateway's machine that is empty or does not exist
        target: PathBuf,
    },
    /// Make a data directory from a backup; both on this machine
    Restore {
        /// The backup
        backup: PathBuf,
        /// The new data directory; must be empty or not exist
        data_dir: PathBuf,
    },
    /// Throw away the index of a data directory that no gateway uses; the next start builds it from the log
    RebuildIndex {
        /// The data directory
        data_dir: PathBuf,
    },
}

pub async fn run(command: AdminCommand, context: &Context) -> Outcome {
    match command {
        AdminCommand::Status => {
            let status = context.client.status().await?;
            emit(context.format, || status_text(&status), || status_json(&status))
        }
        AdminCommand::Verify { data_dir: None } => verify(context).await,
        AdminCommand::Verify { data_dir: Some(folder) } => verify_folder(context, folder).await,
        AdminCommand::Backup { target } => {
            let target = absolute(&target)?;
            let made = context.client.backup(&target).await?;
            let text = format!(
                "{} files, {} copied to {target}, up to commit {}",
                made.files,
                size(made.bytes),
                made.commit_seq
            );
            let json =
                json!({ "target": target, "files": made.files, "bytes": made.bytes, "commit_seq": made.commit_seq });
            done(context, text, json)
        }
        AdminCommand::Restore { backup, data_dir } => {
            let to = data_dir.clone();
            let made = blocking(move || sluice_segment::backup::restore(&backup, &to)).await?;
            let made = made.map_err(|e| Failure::new(e.to_string()))?;
            let folder = data_dir.display();
            let text = format!(
                "{} files, {} restored to {folder}, up to commit {}",
                made.files,
                size(made.bytes),
                made.commit_seq
            );
            let json = json!({ "data_dir": folder.to_string(), "files": made.files, "bytes": made.bytes, "commit_seq": made.commit_seq });
            done(context, text, json)
        }
        AdminCommand::RebuildIndex { data_dir } => {
            if !data_dir.join("log").is_dir() {
                return Err(Failure::usage(format!(
                    "{} is no data directory of Sluice: it holds no log",
                    data_dir.display()
                )));
            }
            let folder = data_dir.clone();
            let removed = blocking(move || sluice_segment::store::rebuild_index(&folder)).await?;
            removed.map_err(|e| Failure::new(e.to_string()))?;
            let text = format!("the index of {} is gone; the next start builds it from the log", data_dir.display());
            done(context, text, json!({ "data_dir": data_dir.display().to_string(), "removed": true }))
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Failure::new(format!("it ended early: {e}")))
}

async fn verify_folder(context: &Context, folder: PathBuf) -> Outcome {
    let bar = spinner();
    let shown = bar.clone();
    let (checked, mut damage) = blocking(move || {
        let mut damage = Vec::new();
        let checked = sluice_segment::verify::verify_folder(&folder, &mut |progress| {
            show(&shown, progress.items, progress.bytes);
            damage.extend(progress.damage);
            true
        });
        (checked, damage)
    })
    .await?;
    bar.finish_and_clear();
    let checked = checked.map_err(|e| Failure::usage(e.to_string()))?;
    damage.extend(checked.damage);
    let damage: Vec<Damage> = damage.into_iter().map(to_wire).collect();
    report(context, checked.bytes, checked.items, &damage)
}

fn to_wire(found: sluice_segment::verify::Damage) -> Damage {
    Damage {
        file: found.file.display().to_string(),
        position: found.position,
        stream: found.stream,
        segment: found.segment,
        offset: found.offset,
        message: found.message,
    }
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}

fn show(bar: &ProgressBar, items: u64, bytes: u64) {
    bar.set_message(format!("{items} things checked, {}", size(bytes)));
}

fn absolute(path: &Path) -> Result<String, Failure> {
    let path = std::path::absolute(path).map_err(|e| Failure::usage(format!("{} is no path: {e}", path.display())))?;
    path.to_str().map(Into::into).ok_or_else(|| Failure::usage(format!("{} is no UTF-8 path", path.display())))
}

async fn verify(context: &Context) -> Outcome {
    let mut running = context.client.verify().await?;
    let bar = spinner();
    let (mut bytes, mut items, mut damage) = (0, 0, Vec::new());
    let mut complete = false;
    while let Some(report) = running.next().await? {
        (bytes, items) = (report.bytes_checked, report.items_checked);
        show(&bar, items, bytes);
        damage.extend(report.damage);
        complete |= report.done;
    }
    bar.finish_and_clear();
    if !complete {
        return Err(Failure::new("the verification ended before it was complete: run it again"));
    }
    report(context, bytes, items, &damage)
}

/// The findings; a failure when something is damaged.
fn report(context: &Context, bytes: u64, items: u64, damage: &[Damage]) -> Outcome {
    let text = || {
        if damage.is_empty() {
            return format!("nothing is damaged: {items} things checked, {}\n", size(bytes));
        }
        let mut table = Table::new(&["FILE", "AT>", "STREAM", "SEGMENT>", "OFFSET>", "DAMAGE"]);
        let number = |number: Option<u64>| number.map_or_else(|| "-".into(), |number| number.to_string());
        for found in damage {
            table.row([
                found.file.clone(),
                found.position.to_string(),
                if found.stream.is_empty() { "-".into() } else { found.stream.clone() },
                number(found.segment.map(u64::from)),
                number(found.offset),
                found.message.clone(),
            ]);
        }
        table.render()
    };
    emit(context.format, text, || {
        json!({
            "bytes_checked": bytes,
            "items_checked": items,
            "damage": damage.iter().map(damage_json).collect::<Vec<_>>(),
        })
    })?;
    match damage.len() {
        0 => Ok(()),
        1 => Err(Failure::damaged("one place is damaged: restore a backup")),
        places => Err(Failure::damaged(format!("{places} places are damaged: restore a backup"))),
    }
}

fn damage_json(found: &Damage) -> Value {
    json!({
        "file": found.file,
        "position": found.position,
        "stream": found.stream,
        "segment": found.segment,
        "offset": found.offset,
        "message": found.message,
    })
}

fn status_text(status: &GetStatusResponse) -> String {
    format!(
        "version      {}\ncluster      {}\ntimeline     {}\nserves since {}\ndata         {}\nlast commit  {}\n\
         durable lsn  {}\nlog          {}\nnot yet in Parquet  {} (writers wait above {})\n",
        status.version,
        id(&status.cluster_id),
        id(&status.timeline_id),
        time(status.started_ms),
        status.data_dir,
        status.last_commit_seq,
        status.durable_lsn,
        size(status.log_bytes),
        size(status.tiering_backlog_bytes),
        size(status.tiering_backlog_limit_bytes),
    )
}

fn status_json(status: &GetStatusResponse) -> Value {
    json!({
        "version": status.version,
        "cluster_id": id(&status.cluster_id),
        "timeline_id": id(&status.timeline_id),
        "last_commit_seq": status.last_commit_seq,
        "durable_lsn": status.durable_lsn,
        "log_bytes": status.log_bytes,
        "tiering_backlog_bytes": status.tiering_backlog_bytes,
        "tiering_backlog_limit_bytes": status.tiering_backlog_limit_bytes,
        "started_ms": status.started_ms,
        "data_dir": status.data_dir,
    })
}
