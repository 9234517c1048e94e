//! `sluice scope`.

use clap::Subcommand;
use serde_json::json;
use sluice_schema::names::ScopeName;

use super::{
    Context,
    exit::Outcome,
    output::{Table, emit, note},
};

#[derive(Debug, Subcommand)]
pub enum ScopeCommand {
    /// Create a scope; success when it is there already
    Create {
        /// Its name
        scope: ScopeName,
    },
    /// List all scopes
    List,
    /// Show how many streams a scope holds
    Describe {
        /// Its name
        scope: ScopeName,
    },
    /// Delete an empty scope
    Delete {
        /// Its name
        scope: ScopeName,
    },
}

pub async fn run(command: ScopeCommand, context: &Context) -> Outcome {
    let client = &context.client;
    match command {
        ScopeCommand::Create { scope } => {
            let created = client.create_scope(&scope).await?;
            let text =
                if created { format!("scope {scope} created") } else { format!("scope {scope} is there already") };
            done(context, text, json!({ "scope": scope.as_str(), "created": created }))
        }
        ScopeCommand::List => {
            let scopes = client.list_scopes().await?;
            let mut table = Table::new(&["SCOPE"]);
            scopes.iter().for_each(|scope| table.row([scope]));
            emit(context.format, || table.render(), || json!(scopes))
        }
        ScopeCommand::Describe { scope } => {
            let streams = client.list_streams(&scope).await?;
            let mut table = Table::new(&["SCOPE", "STREAMS>"]);
            table.row([scope.to_string(), streams.len().to_string()]);
            emit(context.format, || table.render(), || json!({ "scope": scope.as_str(), "streams": streams.len() }))
        }
        ScopeCommand::Delete { scope } => {
            client.delete_scope(&scope).await?;
            done(context, format!("scope {scope} deleted"), json!({ "scope": scope.as_str(), "deleted": true }))
        }
    }
}

/// The end of a command that changed something: a sentence on stderr, or JSON on stdout.
pub fn done(context: &Context, text: String, json: serde_json::Value) -> Outcome {
    match context.format {
        super::Format::Text => {
            note(text);
            Ok(())
        }
        super::Format::Json => emit(context.format, String::new, || json),
    }
}
