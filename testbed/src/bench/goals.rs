//! What the figures have to be. Ratios are of one run on one machine; only sizes, memory and CPU have budgets of their own.

use std::fmt;

use anyhow::Result;

use super::results::{Contender, Door, Network, Results};

/// One figure and the most it may be.
#[derive(Clone, Debug)]
pub(super) struct Goal {
    pub(super) what: String,
    pub(super) measured: f64,
    pub(super) most: f64,
}

impl Goal {
    fn new(what: impl Into<String>, measured: f64, most: f64) -> Goal {
        Goal {
            what: what.into(),
            measured,
            most,
        }
    }

    /// A figure that is none is no figure that is small enough.
    pub(super) fn is_met(&self) -> bool {
        self.measured <= self.most
    }

    pub(super) fn shown(value: f64) -> String {
        if value >= 1000.0 {
            format!("{value:.0}")
        } else if value >= 10.0 {
            format!("{value:.1}")
        } else {
            format!("{value:.3}")
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_met() { "met   " } else { "MISSED" };
        let (measured, most) = (Goal::shown(self.measured), Goal::shown(self.most));
        write!(f, "{word}  {measured:>8} of at most {most:>8}  {}", self.what)
    }
}

/// Holds the results to every goal.
pub(super) fn judge(results: &Results) -> Result<Vec<Goal>> {
    let mut goals = Vec::new();
    for tls in [false, true] {
        let over = if tls { "over TLS" } else { "plain" };
        let network = |delay_ms| Network { tls, delay_ms };
        let process = |contender, delay_ms| results.row(contender, Door::Process, network(delay_ms));
        let (near, usual) = (process(Contender::Keyturn, 0)?, process(Contender::Usual, 0)?);
        goals.push(Goal::new(
            format!("CPU against the usual Lambda, {over}, 0 ms"),
            near.cpu.median / usual.cpu.median,
            1.0 / 20.0,
        ));
        for Network { delay_ms, .. } in Network::over(tls) {
            let ours = process(Contender::Keyturn, delay_ms)?;
            let usual = process(Contender::Usual, delay_ms)?;
            goals.push(Goal::new(
                format!("peak RSS against the usual Lambda, {over}, {delay_ms} ms"),
                ours.peak.median / usual.peak.median,
                1.0 / 5.0,
            ));
            goals.push(Goal::new(
                format!("CPU of a rotation in ms, {over}, {delay_ms} ms"),
                ours.cpu.median,
                30.0,
            ));
            goals.push(Goal::new(
                format!("peak RSS of a rotation in MiB, {over}, {delay_ms} ms"),
                ours.peak.median,
                12.0,
            ));
        }
        goals.push(Goal::new(
            format!("wall against the usual Lambda, {over}, 0 ms"),
            near.wall.median / usual.wall.median,
            1.0 / 5.0,
        ));
        let (far, floor) = (process(Contender::Keyturn, 50)?, process(Contender::Floor, 50)?);
        goals.push(Goal::new(
            format!("wall against the floor of the protocol, {over}, 50 ms"),
            far.wall.median / floor.wall.median,
            1.15,
        ));
        let cold = |contender| results.row(contender, Door::Cold, network(0));
        goals.push(Goal::new(
            format!("Lambda cold start against the usual Lambda, {over}, 0 ms"),
            cold(Contender::Keyturn)?.wall.median / cold(Contender::Usual)?.wall.median,
            1.0 / 8.0,
        ));
    }
    // The floor grows with them, so they are held as well.
    goals.push(Goal::new(
        "requests of a whole rotation with a grace of 0",
        results.protocol.requests as f64,
        28.0,
    ));
    goals.push(Goal::new(
        "the longest row of requests that wait for each other",
        results.protocol.length as f64,
        28.0,
    ));
    let sizes = results.sizes;
    goals.push(Goal::new(
        "size of the binary in bytes",
        sizes.binary as f64,
        6_000_000.0,
    ));
    goals.push(Goal::new(
        "install size against the usual Lambda's packages and interpreter",
        sizes.binary as f64 / sizes.packages.saturating_add(sizes.interpreter) as f64,
        1.0 / 5.0,
    ));
    goals.push(Goal::new(
        "libraries of the machine that the binary asks for (0: it is static)",
        if sizes.is_static { 0.0 } else { 1.0 },
        0.0,
    ));
    Ok(goals)
}

#[cfg(test)]
mod tests {
    use super::Goal;

    #[test]
    fn a_goal_is_missed_by_more_than_its_most_and_by_no_figure_at_all() {
        assert!(Goal::new("", 0.05, 0.05).is_met());
        assert!(!Goal::new("", 0.0501, 0.05).is_met());
        assert!(!Goal::new("", f64::NAN, 0.05).is_met());
        assert!(Goal::new("x", 2.0, 1.0).to_string().starts_with("MISSED"));
    }
}
