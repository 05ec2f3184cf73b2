//! What was observed, and what this run remembers. Nothing here is a conclusion.

use crate::step::Step;
use crate::{KeyId, Timestamp};

/// Everything a decision may depend on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// The servers' clocks at the time of the look.
    pub clocks: Clocks,
    /// Whether everything below was read afresh in this look. Between full looks the answers of writes are folded in,
    /// which is enough to go on and never enough to destroy.
    pub full: bool,
    /// The user's access keys, all pages, in any order and number.
    pub keys: Vec<Key>,
    /// The places that hold a key, in the order in which they are written.
    pub targets: Vec<Target>,
    /// What kept a target from being read may pass by itself.
    pub passing: bool,
    /// Keys whose ids stand in other variables beside the targets: under another name, or in another scope.
    pub elsewhere: Vec<KeyId>,
    /// The intent record.
    pub journal: Journal,
    /// The journal has a record of this user and of nobody else: what keyturn wrote beside it, it wrote for this user.
    pub alone: bool,
    /// What this process did and knows.
    pub run: Run,
}

/// Server times. Keys carry AWS's time, markers GitLab's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Clocks {
    /// AWS's `Date`.
    pub aws: Timestamp,
    /// GitLab's `Date`.
    pub gitlab: Timestamp,
}

/// One access key of the user, as `ListAccessKeys` and `GetAccessKeyLastUsed` show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Its id.
    pub id: KeyId,
    /// Whether requests signed with it are accepted.
    pub status: Status,
    /// IAM's `CreateDate`.
    pub created: Timestamp,
    /// The latest use IAM knows of.
    pub last_used: LastUsed,
}

/// The status of an access key. IAM does not say since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Accepted.
    Active,
    /// Refused, and counted by the quota all the same.
    Inactive,
}

/// IAM's record of the latest use: at most one record in 15 minutes, and it may lag. A hint, never a proof of disuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LastUsed {
    /// No use is recorded.
    Never,
    /// Used at this time, by a call to this service.
    At(Timestamp, Service),
    /// It could not be read, or was not asked for.
    Unknown,
}

/// The service of a recorded use. Our own proof of a key is a call to STS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// AWS Security Token Service.
    Sts,
    /// Any other.
    Other,
}

/// A place that holds a key.
#[expect(
    clippy::large_enum_variant,
    reason = "a handful exist at a time, and a box would hide that this is plain data"
)]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// It was read.
    Seen(Pair),
    /// It could not be read. What it holds is unknown, so it may hold anything.
    Unread,
}

/// Two variables: the access key id and the secret access key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// The variable of the id.
    pub id: IdHalf,
    /// The variable of the secret.
    pub secret: SecretHalf,
    /// `keyturn:hold` stands in one of the descriptions.
    pub hold: bool,
}

/// The variable that holds the access key id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IdHalf {
    /// Its value.
    pub value: IdValue,
    /// The marker in its description.
    pub marker: Option<Marker>,
}

/// The value of an id variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IdValue {
    /// An access key id.
    Key(KeyId),
    /// Text that is no access key id: a placeholder.
    NotAKey,
    /// Nothing: the variable exists, and its value is empty.
    Empty,
    /// GitLab does not show it.
    Hidden,
    /// There is no such variable.
    Missing,
}

/// The variable that holds the secret access key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SecretHalf {
    /// Its value, as far as it can be told.
    pub value: SecretValue,
    /// The marker in its description.
    pub marker: Option<Marker>,
}

/// The value of a secret variable, told by whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SecretValue {
    /// It can be read, and STS was asked whose it is.
    Readable(Proof),
    /// GitLab does not show it.
    Hidden,
    /// There is no such variable.
    Missing,
}

/// What STS said of a readable secret, asked with each Active key id of the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// It signs for this key.
    Of(KeyId),
    /// Every Active key of the user refused it (`SignatureDoesNotMatch`), or the user has none.
    OfNone,
    /// The value is empty.
    Empty,
    /// It works together with the id it stands beside, for somebody who is not the user.
    OfSomebodyElse,
    /// At least one answer proves nothing: a timeout, or `InvalidClientTokenId`, which a key that is not live yet gives too.
    Inconclusive,
}

/// The note at the end of a variable's description. GitLab stores it in one row update with the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Marker {
    /// The key whose half the variable holds.
    pub key: KeyId,
    /// When it was written, by GitLab's clock.
    pub at: Timestamp,
    /// The key that was here before; on id variables only.
    pub prev: Option<KeyId>,
}

/// The intent record: evidence of whose an orphan is. It is no progress log; nothing is ever resumed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Journal {
    /// It was read (or is turned off).
    Read(Option<Intent>),
    /// The variable of that name holds something that keyturn never wrote.
    Taken,
    /// It could not be read.
    Unread,
}

/// "At this time a key was about to be created for this user."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Intent {
    /// By AWS's clock, because it is compared with `CreateDate`.
    pub at: Timestamp,
    /// This run wrote it.
    pub own: bool,
}

/// How much of a run's time is left, as far as it makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimeLeft {
    /// None: nothing more is sent.
    Over,
    /// Too little to begin anything.
    Short,
    /// Enough for any step but a new key.
    Enough,
    /// Enough to create a key, to prove it and to write both halves to every target.
    Ample,
}

/// The memory of one process. It is lost with the process; nothing is unsafe without it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// The user's key that signs this run's requests, when it is one of the user's.
    pub signer: Option<KeyId>,
    /// Keys whose secret this process holds.
    pub in_hand: Vec<KeyId>,
    /// Keys that passed [`Step::Verify`], or that STS accepted in a target.
    pub verified: Vec<KeyId>,
    /// The key this run created.
    pub created: Option<KeyId>,
    /// The keys that were listed when it was decided to create.
    pub listed_before: Vec<KeyId>,
    /// CreateAccessKey was sent, whatever came back. It is sent at most once.
    pub create_sent: bool,
    /// CreateAccessKey was refused for want of a right: no key was made.
    pub denied: bool,
    /// The intent record was written by this run.
    pub journaled: bool,
    /// The new key never became usable within the budget, or is not the user's.
    pub unverifiable: bool,
    /// How many writes that carry the new secret took effect or may yet.
    pub sent: u32,
    /// A write of the new secret was refused for certain: that variable did not change and will not.
    pub refused: bool,
    /// The own key is being deleted. Final: nothing of it will ever be written.
    pub undo: bool,
    /// IAM confirmed that deletion. A list that still shows the key lags.
    pub undone: bool,
    /// Keys that were Inactive at the first look of this run.
    pub inactive_at_start: Vec<KeyId>,
    /// Writes whose outcome is unknown: they may still land. Only the same value may follow them.
    pub unclear: Vec<Step>,
    /// The process was asked to stop.
    pub stopping: bool,
    /// Time left before the run's own deadline.
    pub time_left: TimeLeft,
    /// Keys whose deletion IAM confirmed: a list that shows one lags.
    pub gone: Vec<KeyId>,
    /// A key of this run signs from here on.
    pub switched: bool,
    /// The step that the last full look proposed and that wants a second one.
    pub proposed: Option<Step>,
}

impl Default for Run {
    fn default() -> Run {
        Run::new()
    }
}

impl Run {
    /// A run that has done nothing yet and has all its time.
    pub fn new() -> Run {
        Run {
            signer: None,
            in_hand: Vec::new(),
            verified: Vec::new(),
            created: None,
            listed_before: Vec::new(),
            create_sent: false,
            denied: false,
            journaled: false,
            unverifiable: false,
            sent: 0,
            refused: false,
            undo: false,
            undone: false,
            inactive_at_start: Vec::new(),
            unclear: Vec::new(),
            stopping: false,
            time_left: TimeLeft::Ample,
            gone: Vec::new(),
            switched: false,
            proposed: None,
        }
    }

    /// Records that a step is about to be performed. It is called *before* the request leaves, so that no lost answer
    /// can find a run that believes it sent nothing.
    pub fn begin(&mut self, step: Step, listed: &[Key]) {
        self.proposed = None;
        match step {
            Step::Create => {
                self.create_sent = true;
                self.listed_before = listed.iter().map(|key| key.id).collect();
            }
            Step::WriteSecret { key, .. } if self.created == Some(key) => {
                self.sent = self.sent.saturating_add(1)
            }
            Step::Undo { .. } => self.undo = true,
            Step::SwitchSigner { key } => self.signer = Some(key),
            Step::Journal
            | Step::CloseIntent
            | Step::Verify { .. }
            | Step::WriteSecret { .. }
            | Step::WriteId { .. }
            | Step::Deactivate { .. }
            | Step::Delete { .. } => {}
        }
    }

    /// Records that the secret of a key was found, and that STS accepted it.
    pub fn holds(&mut self, key: KeyId) {
        for known in [&mut self.in_hand, &mut self.verified] {
            if !known.contains(&key) {
                known.push(key);
            }
        }
    }

    /// Records the key that CreateAccessKey returned.
    pub fn created(&mut self, key: KeyId) {
        self.created = Some(key);
        self.in_hand.push(key);
    }

    /// Records that a write was refused for certain. An earlier attempt of the same write whose outcome is unknown
    /// keeps counting as sent.
    pub fn refused(&mut self, step: Step) {
        if let Step::WriteSecret { key, .. } = step
            && self.created == Some(key)
        {
            self.sent = self.sent.saturating_sub(1);
            self.refused = true;
        }
    }

    /// Records that nobody can say whether a write took effect.
    pub fn unclear(&mut self, step: Step) {
        if !self.unclear.contains(&step) {
            self.unclear.push(step);
        }
    }
}

impl Facts {
    /// The key with this id, if it is listed.
    pub fn key(&self, id: KeyId) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }

    /// Where a key stands in the order of age. IAM's dates have a resolution of a second, and the id breaks a tie, so that two
    /// runs agree. The run that made a key knows more: its own is newer than every key that was listed before it.
    pub(crate) fn age_order(&self, key: &Key) -> impl Ord + use<> {
        let own = self.run.created.and_then(|own| self.key(own));
        let before = own.is_some_and(|own| own.id != key.id && self.run.listed_before.contains(&key.id));
        let created = match own {
            Some(own) if before => key.created.min(own.created),
            Some(_) | None => key.created,
        };
        (created, !before, key.created, key.id)
    }

    /// Whether the key is older than the other.
    pub(crate) fn is_older(&self, key: &Key, than: &Key) -> bool {
        self.age_order(key) < self.age_order(than)
    }

    /// The pairs that were read, with their position among the targets.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, &Pair)> {
        self.targets
            .iter()
            .enumerate()
            .filter_map(|(at, target)| match target {
                Target::Seen(pair) => Some((at, pair)),
                Target::Unread => None,
            })
    }
}

impl Pair {
    /// The key id that this pair's id variable holds: its value, or where that is hidden what its marker says.
    pub fn id_key(&self) -> Option<KeyId> {
        match self.id.value {
            IdValue::Key(key) => Some(key),
            IdValue::Hidden => self.id.marker.map(|marker| marker.key),
            IdValue::NotAKey | IdValue::Empty | IdValue::Missing => None,
        }
    }

    /// Whether the id's value is that of a key.
    pub fn names_a_key(&self) -> bool {
        matches!(self.id.value, IdValue::Key(_))
    }

    /// Whether nothing was ever put here: both variables are missing or empty.
    pub fn is_empty(&self) -> bool {
        !self.id.is_there() && !self.secret.is_there()
    }

    /// Whether one half is there and the other isn't, and keyturn was not about to complete it: it writes the secret first, with
    /// a marker.
    pub fn is_half(&self) -> bool {
        match (self.id.is_there(), self.secret.is_there()) {
            (true, false) => true,
            (false, true) => self.secret.marker.is_none(),
            (true, true) | (false, false) => false,
        }
    }

    /// Whether keyturn never wrote either half.
    pub fn is_unmarked(&self) -> bool {
        self.id.marker.is_none() && self.secret.marker.is_none()
    }
}

impl IdHalf {
    /// Whether the variable holds anything.
    pub fn is_there(&self) -> bool {
        match self.value {
            IdValue::Key(_) | IdValue::NotAKey | IdValue::Hidden => true,
            IdValue::Empty | IdValue::Missing => false,
        }
    }
}

impl SecretHalf {
    /// Whether the variable holds anything.
    pub fn is_there(&self) -> bool {
        match self.value {
            SecretValue::Readable(Proof::Empty) | SecretValue::Missing => false,
            SecretValue::Readable(_) | SecretValue::Hidden => true,
        }
    }
}
