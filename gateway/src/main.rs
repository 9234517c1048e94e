//! Binary `sluice`.

use sluice_gateway::{config::Layers, serve, telemetry};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut layers = Layers::default().environment(std::env::vars())?;
    let mut args = std::env::args().skip(2);
    while let (Some(flag), Some(value)) = (args.next(), args.next()) {
        layers = layers.set(&flag.trim_start_matches('-').replace('-', "_"), &value)?;
    }
    let settings = layers.finish()?;
    telemetry::start(&settings)?;
    serve(settings, async {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("signals can be watched");
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    })
    .await
}
