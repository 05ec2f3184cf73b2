//! `bench/results.md`.

use std::fmt::Write as _;

use anyhow::Result;

use super::goals::{self, Goal};
use super::results::{Contender, Door, Figure, Network, Results};

/// The page for these results.
pub(super) fn write(results: &Results) -> Result<String> {
    let mut page = String::from("# Results of the benchmark\n\n");
    let machine = &results.machine;
    writeln!(
        page,
        "Written by `make bench`; the method is in [README.md](README.md). Medians of {} rounds, with the least and the \
         most in brackets.\n",
        results.rounds
    )?;
    writeln!(
        page,
        "{}, {} cores, Linux {}; {}; {}; keyturn {}, {}.\n",
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.rustc,
        machine.baseline.join(", "),
        machine.commit,
        results.date
    )?;
    page += "![wall time by delay](results.svg)\n\n";
    goals_table(&mut page, &goals::judge(results)?)?;
    sizes(&mut page, results)?;
    price(&mut page, results)?;
    for network in Network::ALL {
        processes(&mut page, results, network)?;
    }
    functions(&mut page, results)?;
    requests(&mut page, results)?;
    Ok(page)
}

fn goals_table(page: &mut String, goals: &[Goal]) -> Result<()> {
    page.push_str("## Goals\n\n| what | measured | at most | |\n|---|---:|---:|---|\n");
    for goal in goals {
        let met = if goal.is_met() { "met" } else { "**missed**" };
        let (measured, most) = (Goal::shown(goal.measured), Goal::shown(goal.most));
        writeln!(page, "| {} | {measured} | {most} | {met} |", goal.what)?;
    }
    page.push('\n');
    Ok(())
}

fn sizes(page: &mut String, results: &Results) -> Result<()> {
    let sizes = results.sizes;
    page.push_str("## On the disk\n\n| what has to be installed | bytes |\n|---|---:|\n");
    writeln!(page, "| keyturn: one static file | {} |", sizes.binary)?;
    writeln!(page, "| usual Lambda: its packages | {} |", sizes.packages)?;
    writeln!(
        page,
        "| usual Lambda outside of Lambda: the interpreter | {} |\n",
        sizes.interpreter
    )?;
    Ok(())
}

/// What the safety costs, measured with bare clients, so that nobody's own speed is in it.
fn price(page: &mut String, results: &Results) -> Result<()> {
    let (protocol, usual) = (&results.protocol, &results.usual);
    page.push_str(
        "## What safety costs\n\nThe proof of the new key, the second looks and the re-reads, as what a bare client takes for \
         keyturn's requests and for those of the usual Lambda. A chain is the longest row of requests of which each is sent \
         after the answer to the one before; it times the delay is what no client can beat that asks in this order. The wait for a new key to be known \
         everywhere (`KEYTURN_SETTLE`, 10 s) comes on top and is not measured.\n\n",
    );
    let shown: Vec<Network> = Network::over(false).collect();
    let heads = shown
        .iter()
        .map(|network| format!(" {} ms | chain x delay |", network.delay_ms));
    let head: String = heads.collect();
    let rule = "---:|".repeat(2 + 2 * shown.len());
    writeln!(page, "| | requests | chain |{head}\n|---|{rule}")?;
    let mut rows = Vec::new();
    for (contender, chain) in [(Contender::Floor, protocol), (Contender::UsualFloor, usual)] {
        let mut walls = Vec::new();
        for network in &shown {
            walls.push(results.row(contender, Door::Process, *network)?.wall.median);
        }
        rows.push((contender.name(), chain.requests, chain.length, walls));
    }
    if let [(_, requests, length, with), (_, fewer, shorter, without)] = rows.as_slice() {
        let walls = with.iter().zip(without).map(|(with, without)| with - without);
        rows.push((
            "**safety**",
            requests.saturating_sub(*fewer),
            length.saturating_sub(*shorter),
            walls.collect(),
        ));
    }
    for (name, requests, length, walls) in rows {
        let figures = walls.iter().zip(&shown).map(|(wall, network)| {
            let chain = length as f64 * network.delay_ms as f64;
            format!(" {wall:.1} ms | {chain:.0} ms |")
        });
        let figures: String = figures.collect();
        writeln!(page, "| {name} | {requests} | {length} |{figures}")?;
    }
    page.push('\n');
    Ok(())
}

fn processes(page: &mut String, results: &Results, network: Network) -> Result<()> {
    let over = if network.tls { "TLS" } else { "plain HTTP" };
    writeln!(page, "## As a process, {over}, {} ms\n", network.delay_ms)?;
    page.push_str(
        "| | wall ms | CPU ms | peak RSS MiB | requests | connections | bytes on the wire |\n|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for contender in Contender::ALL {
        let row = results.row(contender, Door::Process, network)?;
        writeln!(
            page,
            "| {} | {} | {} | {} | {:.0} | {:.0} | {:.0} |",
            contender.name(),
            spread(row.wall),
            spread(row.cpu),
            spread(row.peak),
            row.requests.median,
            row.connections.median,
            row.bytes.median
        )?;
    }
    page.push('\n');
    Ok(())
}

fn functions(page: &mut String, results: &Results) -> Result<()> {
    page.push_str(
        "## As a Lambda function, in AWS's emulator of the runtime\n\nA cold invocation begins with the start of the process; \
         init is that start, up to the first request for an event.\n\n\
         | | network | | wall ms | init wall ms | init CPU ms | CPU ms | peak RSS MiB |\n|---|---|---|---:|---:|---:|---:|---:|\n",
    );
    for network in Network::ALL {
        for contender in [Contender::Keyturn, Contender::Usual] {
            for (door, word) in [(Door::Cold, "cold"), (Door::Warm, "warm")] {
                let row = results.row(contender, door, network)?;
                let over = if network.tls { "TLS" } else { "plain" };
                let (init_wall, init_cpu) = match door {
                    Door::Cold => (spread(row.init_wall), spread(row.init_cpu)),
                    Door::Process | Door::Warm => (String::new(), String::new()),
                };
                writeln!(
                    page,
                    "| {} | {over}, {} ms | {word} | {} | {init_wall} | {init_cpu} | {} | {} |",
                    contender.name(),
                    network.delay_ms,
                    spread(row.wall),
                    spread(row.cpu),
                    spread(row.peak),
                )?;
            }
        }
    }
    page.push('\n');
    Ok(())
}

fn requests(page: &mut String, results: &Results) -> Result<()> {
    page.push_str("## The requests\n\nRequests that stand together are sent together; before those after a blank line, their answers are waited for.\n\n");
    for (name, chain) in [
        ("keyturn", &results.protocol),
        ("The usual Lambda", &results.usual),
    ] {
        writeln!(page, "{name}:\n\n```text\n{}\n```\n", chain.outline)?;
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    Ok(())
}

fn spread(figure: Figure) -> String {
    let Figure { median, least, most } = figure;
    format!("{median:.1} ({least:.1}–{most:.1})")
}
