//! The demonstration: one key, from its rotation to its deletion, with the real binary.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::clock::Note;
use crate::lab::{Lab, USER, policy};

/// Who rotates by hand.
const OPERATOR: &str = "operator";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Runs the demonstration and prints each state.
///
/// # Errors
///
/// When a run ends otherwise than it should, which makes the demonstration a test too.
pub async fn run(binary: PathBuf, keep: bool, mut say: impl FnMut(&str)) -> Result<()> {
    let lab = Lab::start(binary.clone()).await?;
    let old = lab.old.id.clone();
    say(&format!(
        "An IAM user `{USER}` with a key of 90 days, and a GitLab group whose variables hold it.\n"
    ));
    say(&state(&lab, "before").await?);

    step(
        &lab,
        "keyturn rotate: a new key, proved, then published",
        "rotate",
        &mut say,
    )
    .await?;
    let new = lab.pair();
    lab.advance(Duration::from_secs(60)).await?;
    expect(new.id != old, "the pair is a new one")?;
    step(
        &lab,
        "keyturn rotate, a minute later: jobs may still hold the outgoing key",
        "rotate",
        &mut say,
    )
    .await?;
    expect(lab.pair() == new, "nothing changed while it waits")?;

    lab.advance(DAY + HOUR).await?;
    step(
        &lab,
        "a day later, keyturn retire: the outgoing key is deactivated",
        "retire",
        &mut say,
    )
    .await?;
    expect(
        status(&lab, &old).await?.as_deref() == Some("Inactive"),
        "the outgoing key is Inactive",
    )?;

    lab.advance(DAY * 7).await?;
    step(
        &lab,
        "a week later, keyturn retire: the outgoing key is deleted",
        "retire",
        &mut say,
    )
    .await?;
    expect(status(&lab, &old).await?.is_none(), "the outgoing key is gone")?;
    expect(lab.aws.works(&lab.pair()).await, "the pair works")?;

    if keep {
        let _note = Note::of(&lab)?;
        say(&by_hand(&lab, &binary).await?);
        tokio::signal::ctrl_c().await?;
    }
    drop(lab);
    Ok(())
}

/// What to type into another terminal.
async fn by_hand(lab: &Lab, binary: &Path) -> Result<String> {
    // With the pair itself, each run would use the key that it waits to retire.
    let may_rotate = policy("role")?.replace("ci-deployer", USER);
    lab.aws.add_user(OPERATOR, Some(&may_rotate)).await?;
    let operator = lab.aws.add_key(OPERATOR, Duration::ZERO).await?;
    let mut settings = lab.settings(&operator);
    settings.insert("AWS_IAM_USER".to_owned(), USER.to_owned());

    let mut text = "\nBoth stand-ins run until you press Ctrl-C. In another terminal:\n\n".to_owned();
    for (name, value) in settings {
        writeln!(text, "export {name}='{value}'")?;
    }
    let (keyturn, testbed) = (std::path::absolute(binary)?, std::env::current_exe()?);
    let (keyturn, testbed) = (keyturn.display(), testbed.display());
    write!(
        text,
        "\n{keyturn} plan         # what a run would do now, and why\n\
         {keyturn} rotate       # a new key\n\
         {testbed} clock +25h   # moves the clocks of both stand-ins\n\
         {keyturn} retire       # deactivates the old key\n\
         {testbed} clock +8days\n\
         {keyturn} retire       # deletes it\n"
    )?;
    Ok(text)
}

async fn step(lab: &Lab, title: &str, command: &str, say: &mut impl FnMut(&str)) -> Result<()> {
    say(&format!("\n== {title}\n\n"));
    let ran = lab.run(&[command], &lab.settings(&lab.pair()))?;
    say(&ran.stdout);
    if ran.code != Some(0) {
        bail!("keyturn {command} ended with {:?}: {}", ran.code, ran.stderr);
    }
    say("\n");
    say(&state(lab, "after").await?);
    Ok(())
}

/// The pair that GitLab holds, whether it works, and IAM's keys.
async fn state(lab: &Lab, when: &str) -> Result<String> {
    let pair = lab.pair();
    let works = if lab.aws.works(&pair).await {
        "works"
    } else {
        "DOES NOT WORK"
    };
    let mut table = format!("| {when:<6} | GitLab holds {:<20} | {works:<13} |\n", pair.id);
    for key in lab.aws.keys(USER).await? {
        writeln!(
            table,
            "| {:<6} | IAM has      {:<20} | {:<13} |",
            "", key.id, key.status
        )?;
    }
    Ok(table)
}

async fn status(lab: &Lab, id: &str) -> Result<Option<String>> {
    Ok(lab
        .aws
        .keys(USER)
        .await?
        .into_iter()
        .find(|key| key.id == id)
        .map(|key| key.status))
}

fn expect(holds: bool, what: &str) -> Result<()> {
    if holds {
        Ok(())
    } else {
        bail!("the demonstration failed: not true that {what}")
    }
}
