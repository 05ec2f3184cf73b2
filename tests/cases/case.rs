//! A case, its scenes, and what is made of how they end.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::future::Future;
use std::io::Write as _;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::world::World;

/// What is wrong: one line, and what helps to understand it in further lines. Whatever only prepares a scene is unwrapped
/// instead: a panic means that the test is broken, and no case may end so.
pub(crate) type Held = Result<(), String>;

/// A scene while it is played.
pub(crate) type Playing<'a> = Pin<Box<dyn Future<Output = Held> + Send + 'a>>;

/// Something that 0.1.0 does wrong.
pub(crate) struct Case {
    /// What it is called in lists.
    pub(crate) id: &'static str,
    /// What goes wrong.
    pub(crate) title: &'static str,
    /// Its forms.
    pub(crate) scenes: &'static [Scene],
}

/// One form of a case, in a world of its own.
pub(crate) struct Scene {
    /// Unique within the case; empty where it is the only one that matters.
    pub(crate) name: &'static str,
    /// Whether it shows what must stay as it is: 0.1.0 passes it as well.
    pub(crate) control: bool,
    /// What happens.
    pub(crate) play: for<'a> fn(&'a World) -> Playing<'a>,
}

impl Case {
    /// A scene of it, as `open.txt` names it.
    pub(crate) fn name(&self, scene: &Scene) -> String {
        format!("{} {}", self.id, scene.name).trim_end().to_owned()
    }
}

/// How a scene ended.
enum Ending {
    Green,
    Red(String),
    Broken(String),
}

/// The cases of a group, each a test.
///
/// ```text
/// cases! {
///     a_test: "ID", "what goes wrong" => {
///         "(a)": |world| a_scene(world);
///         control "readable": |world| another(world);
///     }
/// }
/// ```
macro_rules! cases {
    ($($test:ident: $id:literal, $title:literal => { $($scenes:tt)* })*) => {
        pub(crate) const CASES: &[crate::case::Case] = &[$(crate::case::Case {
            id: $id,
            title: $title,
            scenes: crate::case::scenes!([] $($scenes)*),
        }),*];

        $(
            #[test]
            fn $test() {
                let case = CASES.iter().find(|case| case.id == $id);
                crate::case::play(case.unwrap());
            }
        )*
    };
}

/// One scene after the other: with or without `control`.
macro_rules! scenes {
    ([$($done:tt)*]) => { &[$($done)*] };
    ([$($done:tt)*] control $name:literal: |$world:ident| $play:expr; $($rest:tt)*) => {
        crate::case::scenes!([$($done)* crate::case::Scene {
            name: $name,
            control: true,
            play: |$world| Box::pin($play),
        },] $($rest)*)
    };
    ([$($done:tt)*] $name:literal: |$world:ident| $play:expr; $($rest:tt)*) => {
        crate::case::scenes!([$($done)* crate::case::Scene {
            name: $name,
            control: false,
            play: |$world| Box::pin($play),
        },] $($rest)*)
    };
}

pub(crate) use {cases, scenes};

/// Worlds at a time: each is a Python process.
const WORLDS: usize = 4;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORLDS)
        .enable_all()
        .build()
        .unwrap()
});
static PLACES: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(WORLDS)));

/// Plays every scene of a case, and fails unless it ends as `open.txt` has it.
pub(crate) fn play(case: &'static Case) {
    let endings = RUNTIME.block_on(async {
        let playing: Vec<_> = case.scenes.iter().map(|scene| tokio::spawn(one(scene))).collect();
        let mut endings = Vec::new();
        for playing in playing {
            endings.push(playing.await.unwrap());
        }
        endings
    });
    let mut told = String::new();
    for (scene, ending) in case.scenes.iter().zip(&endings) {
        let (word, why) = ending.told();
        let _ = writeln!(told, "{}: {word} {why}", case.name(scene));
        result(case, scene, ending);
    }
    println!("{told}");
    if setting("KEYTURN_CASES_BINARY").is_none() {
        let open = open().into_iter().map(|(name, _)| name).collect();
        let wrong = judge(case, &endings, &open);
        assert!(wrong.is_empty(), "{}: {}\n{told}", case.title, wrong.join("\n"));
    }
}

async fn one(scene: &'static Scene) -> Ending {
    let place = Arc::clone(&PLACES).acquire_owned().await.unwrap();
    let played = tokio::spawn(async {
        let world = World::start().await;
        let held = (scene.play)(&world).await;
        world.end();
        held
    });
    let ending = match played.await {
        Ok(Ok(())) => Ending::Green,
        Ok(Err(why)) => Ending::Red(why),
        Err(panicked) => Ending::Broken(words(panicked)),
    };
    drop(place);
    ending
}

fn words(error: tokio::task::JoinError) -> String {
    let Ok(panicked) = error.try_into_panic() else {
        return "it was cancelled".to_owned();
    };
    let text = panicked.downcast_ref::<String>().cloned();
    text.or_else(|| panicked.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default()
}

/// What is wrong with how the scenes of a case ended, if these are open.
fn judge(case: &Case, endings: &[Ending], open: &BTreeSet<&str>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut whole_is_red = false;
    for (scene, ending) in case.scenes.iter().zip(endings) {
        let name = case.name(scene);
        let listed = open.contains(name.as_str());
        match ending {
            Ending::Green if listed => wrong.push(format!("{name} is mended: remove it from open.txt")),
            Ending::Green => {}
            Ending::Red(_) => {
                whole_is_red = true;
                if !listed && !open.contains(case.id) {
                    wrong.push(format!("{name} is red"));
                }
            }
            Ending::Broken(_) => wrong.push(format!("{name}: the test itself is broken")),
        }
    }
    if open.contains(case.id) && !whole_is_red {
        wrong.push(format!("{} is mended: remove it from open.txt", case.id));
    }
    wrong.dedup();
    wrong
}

/// The lines of `open.txt`: a case (`ID: reason`) of which at least one scene is red, or one scene of it
/// (`ID scene: reason`).
pub(crate) fn open() -> Vec<(&'static str, &'static str)> {
    let lines = include_str!("open.txt").lines();
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(": ").expect("open.txt: NAME: REASON"))
        .collect()
}

impl Ending {
    fn told(&self) -> (&'static str, &str) {
        match self {
            Ending::Green => ("green", ""),
            Ending::Red(why) => ("red", why),
            Ending::Broken(why) => ("broken", why),
        }
    }
}

/// One line of the file that `KEYTURN_CASES_RESULTS` names: what `table.awk` reads.
fn result(case: &Case, scene: &Scene, ending: &Ending) {
    let Some(file) = setting("KEYTURN_CASES_RESULTS") else {
        return;
    };
    let kind = if scene.control { "control" } else { "case" };
    let (word, why) = ending.told();
    let why = why.lines().next().unwrap_or_default().replace('\t', " ");
    let line = format!(
        "{}\t{}\t{kind}\t{word}\t{}\t{why}\n",
        case.id, scene.name, case.title
    );
    let mut file = std::fs::File::options()
        .append(true)
        .create(true)
        .open(file)
        .unwrap();
    file.write_all(line.as_bytes()).unwrap();
}

/// The binary that is judged.
pub(crate) fn binary() -> PathBuf {
    setting("KEYTURN_CASES_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_keyturn").into(), PathBuf::from)
}

#[allow(clippy::disallowed_methods, reason = "the tests' own settings")]
fn setting(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[test]
fn the_list_can_neither_hide_nor_go_stale() {
    let scene = |name| Scene {
        name,
        control: false,
        play: |_| Box::pin(async { Ok(()) }),
    };
    let case = Case {
        id: "X",
        title: "",
        scenes: Box::leak(Box::new([scene("a"), scene("b")])),
    };
    let red = || Ending::Red(String::new());
    let wrong =
        |endings: [Ending; 2], open: &[&str]| judge(&case, &endings, &open.iter().copied().collect()).len();
    assert_eq!(wrong([Ending::Green, Ending::Green], &[]), 0);
    assert_eq!(wrong([Ending::Green, red()], &[]), 1);
    assert_eq!(wrong([Ending::Green, red()], &["X"]), 0);
    assert_eq!(wrong([Ending::Green, red()], &["X b"]), 0);
    assert_eq!(wrong([Ending::Green, red()], &["X a"]), 2);
    assert_eq!(wrong([Ending::Green, Ending::Green], &["X"]), 1);
    let broken = Ending::Broken(String::new());
    assert_eq!(wrong([broken, red()], &["X"]), 1);
}
