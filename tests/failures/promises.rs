//! What the README says of failures that need more than one target, or a person.

use testbed::aws::Pair;
use testbed::gitlab::{Effect, ProjectId, Token, Variable};
use testbed::lab::Ran;

use crate::{HOUR, ID, SECRET, Settings, Signer, USER, World, put, report, word};

/// The same pair in the group and in a project of it.
struct Both {
    world: World,
    project: ProjectId,
    token: String,
}

impl Both {
    async fn start(signer: Signer) -> Both {
        let world = World::start(signer, false).await;
        let lab = &world.lab;
        let (project, token) = lab.gitlab.world(|gitlab| {
            let project = gitlab.add_project("platform/app");
            gitlab.set_variable(project, Variable::credential(ID, &lab.old.id));
            gitlab.set_variable(project, Variable::credential(SECRET, &lab.old.secret));
            (project, gitlab.add_token(Token::owner(lab.group)))
        });
        Both {
            world,
            project,
            token,
        }
    }

    async fn settings(&self) -> Settings {
        let mut settings = self.world.settings().await;
        settings.insert("GITLAB_PROJECT_ID".into(), self.project.0.to_string());
        settings.insert("GITLAB_TOKEN".into(), self.token.clone());
        settings
    }

    fn of_project(&self) -> Pair {
        let seen = self.world.lab.gitlab.job_sees(self.project, &[ID, SECRET], true);
        Pair {
            id: seen[0].clone().unwrap(),
            secret: seen[1].clone().unwrap(),
            token: None,
        }
    }

    async fn run(&self, command: &str) -> Ran {
        let settings = self.settings().await;
        let ran = self
            .world
            .lab
            .run(&[command, "--format", "json"], &settings)
            .unwrap();
        let aws = &self.world.lab.aws;
        let (group, project) = (self.world.lab.pair(), self.of_project());
        assert!(aws.works(&group).await && aws.works(&project).await, "{ran:?}");
        ran
    }
}

#[tokio::test]
async fn killed_between_group_and_project_both_work_and_get_the_newer_key() {
    for signer in [Signer::Own, Signer::Role] {
        let both = Both::start(signer).await;
        let lab = &both.world.lab;
        // The first write to the project is held up before it is applied; the group is complete then.
        let hold = put(SECRET, Effect::Delay { millis: 30_000 }).containing("/projects/");
        lab.gitlab.fault(hold);
        let settings = both.settings().await;
        let run = lab
            .spawn(lab.command(&["rotate", "--format", "json"], &settings))
            .unwrap();
        until!(lab.gitlab.waiting_faults().is_empty());
        run.kill().unwrap();
        let new = lab.pair();
        assert!(new.id != lab.old.id && lab.aws.works(&new).await);
        assert!(both.of_project() == lab.old && lab.aws.works(&lab.old).await);
        let ran = both.run("rotate").await;
        assert_eq!(
            (ran.code, word(&ran, "reason").as_str()),
            (Some(0), "grace"),
            "{ran:?}"
        );
        assert!(lab.pair() == new && both.of_project() == new, "{ran:?}");
        lab.advance(25 * HOUR).await.unwrap();
        both.run("retire").await;
        lab.advance(8 * 24 * HOUR).await.unwrap();
        let ran = both.run("retire").await;
        assert_eq!(
            (ran.code, word(&ran, "outcome").as_str()),
            (Some(0), "converged"),
            "{ran:?}"
        );
        assert_eq!(both.world.key_count().await, 1);
    }
}

/// Signed by a role: with the pair itself nothing could sign any more.
#[tokio::test]
async fn a_current_key_that_somebody_deactivated_is_left_to_them() {
    let world = World::start(Signer::Role, false).await;
    let lab = &world.lab;
    lab.aws.deactivate_key(USER, &lab.old.id).await.unwrap();
    let before = lab.aws.keys(USER).await.unwrap();
    let changes = |world: &World| world.lab.gitlab.world(|gitlab| gitlab.changes().len());
    let written = changes(&world);
    for command in ["rotate", "retire", "rotate"] {
        let ran = world.run(command).await;
        assert_eq!(
            (ran.code, word(&ran, "reason").as_str()),
            (Some(3), "key_disabled"),
            "{ran:?}"
        );
        assert_eq!(lab.aws.keys(USER).await.unwrap(), before, "{ran:?}");
        assert_eq!(changes(&world), written, "{ran:?}");
    }
}

#[tokio::test]
async fn a_dead_pair_is_replaced_by_a_role() {
    let world = World::start(Signer::Role, false).await;
    let lab = &world.lab;
    world.run("rotate").await;
    for key in lab.aws.keys(USER).await.unwrap() {
        lab.aws.delete_key(USER, &key.id).await.unwrap();
    }
    assert!(!world.works().await);
    // What was written a moment ago may only look dead.
    let ran = world.run("rotate").await;
    assert_eq!(word(&ran, "reason"), "unconfirmed", "{ran:?}");
    lab.advance(HOUR).await.unwrap();
    let ran = world.run("rotate").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(world.works().await, "{ran:?}");
    assert_eq!(world.key_count().await, 1);
    let holds = report(&ran)["rotations"][0]["targets"][0]["holds"].clone();
    assert_eq!(holds, lab.pair().id.as_str(), "{ran:?}");
}

/// Its secret fits no key, and no marker says that keyturn wrote it: it may be anybody's.
#[tokio::test]
async fn a_dead_pair_that_keyturn_never_wrote_is_replaced_once_it_is_deleted() {
    let world = World::start(Signer::Role, false).await;
    let lab = &world.lab;
    lab.aws.delete_key(USER, &lab.old.id).await.unwrap();
    let ran = world.run("rotate").await;
    assert_eq!(
        (ran.code, word(&ran, "reason").as_str()),
        (Some(3), "owner_unknown"),
        "{ran:?}"
    );
    assert!(lab.pair() == lab.old && world.key_count().await == 0, "{ran:?}");
    lab.gitlab.world(|gitlab| {
        gitlab.remove_variable(lab.group, ID, "*");
        gitlab.remove_variable(lab.group, SECRET, "*");
    });
    let ran = world.run("rotate").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(world.works().await, "{ran:?}");
}
