//! `testbed clock +25h`: moves the clocks of both stand-ins while they run, from another terminal.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use reqwest::{Client, RequestBuilder, Url};
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::paths::project_root;

/// Where both stand-ins are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Any URL of the AWS stand-in.
    pub aws: Url,
    /// Any URL of the GitLab stand-in.
    pub gitlab: Url,
}

/// A note of where the stand-ins of a lab are, for as long as they are there.
pub(crate) struct Note(Places);

impl Note {
    pub(crate) fn of(lab: &Lab) -> Result<Note> {
        let places = Places {
            aws: lab.aws.url().parse()?,
            gitlab: lab.gitlab.url().parse()?,
        };
        let note = json!({"aws": places.aws.as_str(), "gitlab": places.gitlab.as_str()});
        std::fs::write(file(), note.to_string())?;
        Ok(Note(places))
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        // Others may have been started since.
        if noted().is_some_and(|places| places == self.0) {
            let _ = std::fs::remove_file(file());
        }
    }
}

fn file() -> PathBuf {
    project_root().join(".testbed/running.json")
}

fn noted() -> Option<Places> {
    let note: Value = serde_json::from_slice(&std::fs::read(file()).ok()?).ok()?;
    let url = |name: &str| note.get(name)?.as_str()?.parse().ok();
    Some(Places {
        aws: url("aws")?,
        gitlab: url("gitlab")?,
    })
}

/// Moves both clocks by this much: those of `demo --keep`, or the ones that are named.
///
/// # Errors
///
/// When no stand-ins run there. No clock is moved then.
pub async fn run(by: Duration, named: Option<Places>, mut say: impl FnMut(&str)) -> Result<()> {
    const NONE: &str = "no clock was moved: no stand-ins run here. Start them with `make demo DEMO_ARGUMENTS=--keep`, \
        or say where they are with --aws URL --gitlab URL";
    let is_named = named.is_some();
    let places = named.or_else(noted).context(NONE)?;
    // The only error is that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = Client::builder().no_proxy().build()?;
    let clocks = [
        ("AWS", places.aws.join("/_strict/clock")?, "world"),
        ("GitLab", places.gitlab.join("/_testbed/clock")?, "now"),
    ];
    for (name, clock, _) in &clocks {
        match answer(http.get(clock.clone())).await {
            Ok(_) => {}
            Err(_) if !is_named => bail!(NONE),
            Err(_) => bail!("no clock was moved: the {name} stand-in does not answer at {clock}"),
        }
    }
    for (name, clock, shown) in clocks {
        let moved = http.post(clock).json(&json!({"advance": by.as_secs()}));
        let answer = answer(moved).await?;
        let Some(now) = answer.get(shown).and_then(Value::as_str) else {
            bail!("the {name} stand-in says no time: {answer}")
        };
        let now: Timestamp = now.parse()?;
        say(&format!("{name:<6} {now:.0}\n"));
    }
    Ok(())
}

async fn answer(request: RequestBuilder) -> Result<Value> {
    Ok(request.send().await?.error_for_status()?.json().await?)
}
