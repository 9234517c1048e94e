//! Service Admin.

use std::{path::PathBuf, sync::Arc};

use sluice_proto::gateway::v1::{self as wire, admin_server::Admin};
use sluice_segment::{
    backup::{self, BackupError},
    env::ExecutorExt as _,
    verify,
};
use sluice_txn::{
    ledger::Records as _,
    protocol::{ErrorClass, ErrorReason, Refusal},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::convert::{failed, refused};
use crate::engine::Engine;

pub struct Service(pub Arc<Engine>);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Admin for Service {
    async fn get_status(&self, _: Request<wire::GetStatusRequest>) -> Answer<wire::GetStatusResponse> {
        let store = &self.0.store;
        let cluster = store.read(|view| view.cluster()).map_err(|error| failed(error.into()))?;
        let backlog = store.backlog();
        Ok(Response::new(wire::GetStatusResponse {
            version: env!("CARGO_PKG_VERSION").into(),
            cluster_id: cluster.cluster_id,
            timeline_id: cluster.timeline_id,
            last_commit_seq: cluster.last_commit_seq,
            durable_lsn: store.durable_lsn().0,
            log_bytes: store.log_bytes(),
            tiering_backlog_bytes: backlog.unpublished_bytes,
            tiering_backlog_limit_bytes: backlog.limit_bytes,
            started_ms: self.0.started_ms,
            data_dir: store.folder().display().to_string(),
        }))
    }

    type VerifyStream = ReceiverStream<Result<wire::VerifyProgress, Status>>;

    async fn verify(&self, _: Request<wire::VerifyRequest>) -> Answer<Self::VerifyStream> {
        let (tell, progress) = mpsc::channel(16);
        let (store, tier) = (self.0.store.clone(), self.0.tier.clone());
        let executor = Arc::clone(&store.env().executor);
        tokio::spawn(async move {
            let told = tell.clone();
            let checked = executor.run_for(move || {
                verify::verify_store(&store, &tier, &mut |progress| {
                    // A caller that went away ends the work.
                    told.blocking_send(Ok(to_wire(progress, false))).is_ok()
                })
            });
            let last = match checked.await {
                Ok(Ok(totals)) => Ok(to_wire(totals, true)),
                Ok(Err(error)) => Err(refused(Refusal::new(ErrorClass::Internal, ErrorReason::Bug, error.to_string()))),
                Err(lost) => Err(refused(Refusal::new(ErrorClass::Internal, ErrorReason::Bug, lost.to_string()))),
            };
            let _ = tell.send(last).await;
        });
        Ok(Response::new(ReceiverStream::new(progress)))
    }

    async fn backup(&self, request: Request<wire::BackupRequest>) -> Answer<wire::BackupResponse> {
        let target = PathBuf::from(request.into_inner().target);
        if !target.is_absolute() {
            let text = format!(
                "the target of a backup must be an absolute path on the gateway's machine, not {}",
                target.display()
            );
            return Err(refused(Refusal::bad_request(text)));
        }
        let done = backup::backup(&self.0.store, &target).await.map_err(|error| match error {
            BackupError::Target(_) => refused(Refusal::bad_request(error.to_string())),
            BackupError::Store(error) => failed(error),
            BackupError::Damaged(_) => {
                refused(Refusal::new(ErrorClass::Corrupt, ErrorReason::Damaged, error.to_string()))
            }
            error => refused(Refusal::new(ErrorClass::Retriable, ErrorReason::Unavailable, error.to_string())),
        })?;
        Ok(Response::new(wire::BackupResponse { files: done.files, bytes: done.bytes, commit_seq: done.commit_seq }))
    }
}

fn to_wire(progress: verify::Progress, done: bool) -> wire::VerifyProgress {
    let damage = progress.damage.into_iter().map(|damage| wire::Damage {
        file: damage.file.display().to_string(),
        position: damage.position,
        stream: damage.stream,
        segment: damage.segment,
        offset: damage.offset,
        message: damage.message,
    });
    wire::VerifyProgress {
        bytes_checked: progress.bytes,
        items_checked: progress.items,
        damage: damage.collect(),
        done,
    }
}
