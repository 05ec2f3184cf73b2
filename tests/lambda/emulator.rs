//! The function in AWS's emulator: each invocation is printed, and held to the budgets when it is the release's.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

/// The most memory that the function may ever hold: 24 MB.
const PEAK_BUDGET_KIB: u64 = 24_000_000 / 1024;
/// The most CPU from the start of the process to its first request for an event.
const INIT_BUDGET: Duration = Duration::from_millis(10);

/// One execution environment.
pub(crate) struct Emulator(testbed::emulator::Emulator);

/// An invocation, as the tests look at it.
#[derive(Debug)]
pub(crate) struct Invoked(testbed::emulator::Invoked);

impl Emulator {
    /// Starts an environment for this bootstrap; its timeout is in seconds.
    pub(crate) async fn start(
        bootstrap: &Path,
        settings: &BTreeMap<String, String>,
        timeout: u64,
    ) -> Emulator {
        let started = testbed::emulator::Emulator::start(bootstrap, settings, timeout).await;
        Emulator(started.unwrap())
    }

    /// Sends an event and waits for the end of its invocation.
    pub(crate) async fn invoke(&self, event: &str) -> Invoked {
        let invoked = Invoked(self.0.invoke(event).await.unwrap());
        println!("{}", invoked.row(event));
        invoked.said();
        let init = invoked.init.map(|init| init.cpu);
        if let Some(over) = over_budget(invoked.peak_kib, init).filter(|_| released()) {
            panic!("{over}: {invoked:?}");
        }
        assert!(
            invoked.process.is_some() || invoked.ended(),
            "the function is gone: {invoked:?}"
        );
        invoked
    }

    /// Kills the function, as Lambda does when its time is over, and leaves its environment.
    pub(crate) fn kill_function(&self) {
        self.0.kill_function().unwrap();
    }

    /// Freezes the function.
    pub(crate) fn stop_function(&self) {
        self.0.stop_function().unwrap();
    }
}

impl Deref for Invoked {
    type Target = testbed::emulator::Invoked;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Invoked {
    /// The report, whether it is the answer or the message of an error.
    pub(crate) fn report(&self) -> Value {
        match self.body.get("errorMessage").and_then(Value::as_str) {
            Some(message) => {
                serde_json::from_str(message).unwrap_or_else(|error| panic!("{error}: {self:?}"))
            }
            None => self.body.clone(),
        }
    }

    /// A word of the one rotation in the report.
    pub(crate) fn word(&self, name: &str) -> String {
        self.report()["rotations"][0][name]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The function's own lines: each is one JSON object.
    pub(crate) fn said(&self) -> Vec<Value> {
        self.own_lines()
            .map(|line| {
                let read = serde_json::from_str(line).ok().filter(Value::is_object);
                read.unwrap_or_else(|| panic!("no JSON object: {line:?}"))
            })
            .collect()
    }

    /// The lines that CloudWatch makes metrics of.
    pub(crate) fn metrics(&self) -> Vec<Value> {
        self.said()
            .into_iter()
            .filter(|line| line.get("_aws").is_some())
            .collect()
    }

    fn row(&self, event: &str) -> String {
        let start = self.init.map_or("warm".to_owned(), |init| {
            format!("cold, init CPU {:>4.1} ms", init.cpu.as_secs_f64() * 1000.0)
        });
        let told = match &self.body {
            Value::Object(body) if body.contains_key("errorType") => {
                body["errorType"].as_str().unwrap_or("?")
            }
            Value::Object(body) => body.get("outcome").and_then(Value::as_str).unwrap_or("?"),
            Value::String(text) => text,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => "?",
        };
        let event: String = event.chars().take(48).collect();
        format!(
            "{start:<22}  REPORT Duration {:>9.2} ms  wall {:>8.1?}  peak {:>5.1} MiB  {event:<48}  {told}",
            self.reported("Duration").unwrap_or(f64::NAN),
            self.wall,
            self.peak_kib.unwrap_or(0) as f64 / 1024.0,
        )
    }
}

/// The function under test: the release binary that `KEYTURN_BOOTSTRAP` names, or the one built with the tests.
pub(crate) fn bootstrap() -> PathBuf {
    std::env::var_os("KEYTURN_BOOTSTRAP").map_or(env!("CARGO_BIN_EXE_keyturn").into(), PathBuf::from)
}

/// Whether the function is what ships, which the budgets are for.
pub(crate) fn released() -> bool {
    std::env::var_os("KEYTURN_BOOTSTRAP").is_some()
}

/// What of an invocation is over its budget. A function that was killed shows no peak, and a warm one no init.
fn over_budget(peak_kib: Option<u64>, init: Option<Duration>) -> Option<String> {
    if let Some(peak) = peak_kib.filter(|peak| *peak > PEAK_BUDGET_KIB) {
        return Some(format!("{peak} KiB at the peak are over {PEAK_BUDGET_KIB}"));
    }
    let init = init.filter(|init| *init > INIT_BUDGET)?;
    Some(format!(
        "{init:?} of CPU before the first event are over {INIT_BUDGET:?}"
    ))
}

#[test]
fn what_is_over_a_budget_is_told() {
    let (peak, init) = (Some(PEAK_BUDGET_KIB), Some(INIT_BUDGET));
    assert_eq!(over_budget(peak, init), None);
    assert_eq!(over_budget(None, None), None);
    let more = over_budget(peak.map(|peak| peak + 1), init).unwrap();
    assert!(more.starts_with("23438 KiB at the peak"), "{more}");
    let longer = over_budget(peak, init.map(|init| init + Duration::from_micros(1))).unwrap();
    assert!(longer.starts_with("10.001ms of CPU"), "{longer}");
}
