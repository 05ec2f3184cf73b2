//! What a request or a test may change, behind one lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use jiff::{SignedDuration, Timestamp};

use super::api;
use super::clock::{Clock, shifted};
use super::faults::Faults;
use super::journal::Journal;
use super::options::Options;
use super::reply::Reply;
use super::request::Request;
use super::world::{Settings, World};

/// What the server's thread and the handle share.
#[derive(Debug)]
pub(super) struct Shared {
    options: Options,
    settings: Settings,
    state: Mutex<State>,
}

/// Everything that a request or a test may change, behind one lock: requests are served one at a time.
#[derive(Debug)]
pub(super) struct State {
    pub(super) world: World,
    pub(super) faults: Faults,
    pub(super) journal: Journal,
    late: Vec<Late>,
}

/// A request that is carried out when the server's clock reaches its time, long after its connection was lost.
#[derive(Debug)]
struct Late {
    due: Timestamp,
    request: Request,
}

impl Shared {
    pub(super) fn new(options: Options) -> Result<Self> {
        let settings = options.settings()?;
        let state = Mutex::new(State::new(&options, &settings));
        Ok(Self {
            options,
            settings,
            state,
        })
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.options.tls.is_some() {
            "https"
        } else {
            "http"
        }
    }

    /// The state, with everything done that is due by now.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A test's closure that panicked has failed its test already; the state is still the best there is.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.catch_up();
        state
    }

    pub(super) fn reset(&self) {
        *self.lock() = State::new(&self.options, &self.settings);
    }
}

impl State {
    fn new(options: &Options, settings: &Settings) -> Self {
        Self {
            world: World::new(
                settings.clone(),
                Clock::starting(options.starts_at, options.clock_stands),
            ),
            faults: Faults::default(),
            journal: Journal::default(),
            late: Vec::new(),
        }
    }

    pub(super) fn answer(&mut self, request: &Request) -> Reply {
        api::answer(&mut self.world, request)
    }

    pub(super) fn postpone(&mut self, request: Request, millis: u64) {
        let by = SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX));
        self.late.push(Late {
            due: shifted(self.world.now(), by),
            request,
        });
    }

    /// Carries out late requests that are due, in order, each dated when it was due.
    fn catch_up(&mut self) {
        let now = self.world.now();
        let (mut due, late): (Vec<Late>, Vec<Late>) = std::mem::take(&mut self.late)
            .into_iter()
            .partition(|late| late.due <= now);
        self.late = late;
        due.sort_by_key(|late| late.due);
        for Late { due, request } in due {
            self.world.clock.hold(Some(due));
            let _ = api::answer(&mut self.world, &request);
        }
        self.world.clock.hold(None);
    }
}
