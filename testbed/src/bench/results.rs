//! The figures of a run.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::installed::{Machine, Sizes};

/// Who does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Contender {
    /// The release binary.
    Keyturn,
    /// The usual Python Lambda.
    Usual,
    /// A bare client that sends keyturn's requests: what the protocol needs.
    Floor,
    /// A bare client that sends the requests of the usual Lambda: what the work needs without any safety.
    UsualFloor,
}

impl Contender {
    pub(super) const ALL: [Contender; 4] = [
        Contender::Keyturn,
        Contender::Usual,
        Contender::Floor,
        Contender::UsualFloor,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Contender::Keyturn => "keyturn",
            Contender::Usual => "usual Python Lambda",
            Contender::Floor => "floor of the protocol",
            Contender::UsualFloor => "floor of the usual Lambda",
        }
    }
}

/// How it is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Door {
    /// As a process, from its start to its end.
    Process,
    /// As a Lambda function's first invocation, its start included.
    Cold,
    /// As a later invocation of the same function.
    Warm,
}

/// The network between it and the stand-ins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Network {
    pub(super) tls: bool,
    /// Added to each answer.
    pub(super) delay_ms: u64,
}

impl Network {
    pub(super) const ALL: [Network; 6] = [
        Network::new(false, 0),
        Network::new(false, 20),
        Network::new(false, 50),
        Network::new(true, 0),
        Network::new(true, 20),
        Network::new(true, 50),
    ];

    /// Those over TLS, or those without.
    pub(super) fn over(tls: bool) -> impl Iterator<Item = Network> {
        Network::ALL.into_iter().filter(move |network| network.tls == tls)
    }

    const fn new(tls: bool, delay_ms: u64) -> Network {
        Network { tls, delay_ms }
    }
}

/// What one rotation took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// Milliseconds.
    pub(super) wall: f64,
    /// Milliseconds.
    pub(super) cpu: f64,
    /// MiB.
    pub(super) peak: f64,
    pub(super) requests: f64,
    pub(super) connections: f64,
    pub(super) bytes: f64,
    /// Milliseconds from the event to the first request for it, and those of CPU; of a cold function.
    pub(super) init_wall: f64,
    pub(super) init_cpu: f64,
}

/// The median of a figure, and its spread.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Figure {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

/// The figures of one contender behind one door on one network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) contender: Contender,
    pub(super) door: Door,
    pub(super) network: Network,
    pub(super) wall: Figure,
    pub(super) cpu: Figure,
    pub(super) peak: Figure,
    pub(super) requests: Figure,
    pub(super) connections: Figure,
    pub(super) bytes: Figure,
    pub(super) init_wall: Figure,
    pub(super) init_cpu: Figure,
}

/// How many requests a contender sends, and how many answers it waits for one after the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Chain {
    pub(super) requests: usize,
    pub(super) length: usize,
    /// The requests, with a blank line where an answer is waited for.
    pub(super) outline: String,
}

/// A whole run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Results {
    pub(super) rounds: usize,
    pub(super) date: String,
    pub(super) machine: Machine,
    pub(super) sizes: Sizes,
    pub(super) protocol: Chain,
    pub(super) usual: Chain,
    pub(super) rows: Vec<Row>,
}

impl Row {
    pub(super) fn of(contender: Contender, door: Door, network: Network, samples: &[Sample]) -> Result<Row> {
        let figure = |pick: fn(&Sample) -> f64| Figure::of(samples.iter().map(pick).collect());
        Ok(Row {
            contender,
            door,
            network,
            wall: figure(|it| it.wall)?,
            cpu: figure(|it| it.cpu)?,
            peak: figure(|it| it.peak)?,
            requests: figure(|it| it.requests)?,
            connections: figure(|it| it.connections)?,
            bytes: figure(|it| it.bytes)?,
            init_wall: figure(|it| it.init_wall)?,
            init_cpu: figure(|it| it.init_cpu)?,
        })
    }
}

impl Figure {
    fn of(mut values: Vec<f64>) -> Result<Figure> {
        values.sort_by(f64::total_cmp);
        let half = values.len() / 2;
        let middle = if values.len().is_multiple_of(2) {
            values.get(half.saturating_sub(1)..=half)
        } else {
            values.get(half..=half)
        };
        match (values.first(), middle, values.last()) {
            (Some(least), Some(middle), Some(most)) => Ok(Figure {
                median: middle.iter().sum::<f64>() / middle.len() as f64,
                least: *least,
                most: *most,
            }),
            _ => anyhow::bail!("nothing was measured"),
        }
    }
}

impl Results {
    pub(super) fn row(&self, contender: Contender, door: Door, network: Network) -> Result<&Row> {
        self.rows
            .iter()
            .find(|row| (row.contender, row.door, row.network) == (contender, door, network))
            .with_context(|| format!("{contender:?} {door:?} {network:?} was not measured"))
    }
}

#[cfg(test)]
mod tests {
    use super::Figure;

    #[test]
    fn a_figure_is_the_middle_of_what_was_measured_between_the_extremes() {
        let figure = Figure::of(vec![3.0, 1.0, 10.0, 2.0, 2.5]).unwrap();
        assert_eq!((figure.least, figure.median, figure.most), (1.0, 2.5, 10.0));
        assert_eq!(Figure::of(vec![4.0, 1.0, 2.0, 9.0]).unwrap().median, 3.0);
        assert!(Figure::of(Vec::new()).is_err());
    }
}
