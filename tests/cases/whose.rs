//! Whose pair is it? Variables that hold another user's pair, half a pair, or something else altogether.

use testbed::gitlab::{Effect, Fault, Variable};
use testbed::lab::USER;

use crate::case::{Held, cases};
use crate::world::{DAY, HOUR, ID, SECRET, Settings, World, ended, must, until};

cases! {
    a_hidden_pair_of_another_user_is_left: "L-A1", "a hidden pair of another user is overwritten" => {
        "(a)": |world| another_caller(world, HIDDEN);
        "(b)": |world| another_user(world, HIDDEN);
        control "(a) readable": |world| another_caller(world, READABLE);
        control "(b) readable": |world| another_user(world, READABLE);
    }

    an_administrators_own_key_is_never_published: "N1", "an administrator's own key is published to the pipelines" => {
        "(a)": |world| an_administrator_where_nothing_is(world);
        "(b)": |world| an_administrator_beside_an_inactive_key(world, READABLE);
        control "(b) hidden": |world| an_administrator_beside_an_inactive_key(world, HIDDEN);
        "(c)": |world| an_administrator_beside_a_deleted_key(world, READABLE);
        "(c) hidden": |world| an_administrator_beside_a_deleted_key(world, HIDDEN);
        control "the caller's own pair": |world| the_caller_rotates_its_own_pair(world);
    }

    two_halves_of_two_pairs_are_left: "L-A2", "one of the two variable names forgotten: two pairs break" => {
        "role": |world| the_secrets_name_is_forgotten(world, Signer::Role, READABLE);
        "role, hidden": |world| the_secrets_name_is_forgotten(world, Signer::Role, HIDDEN);
        "self": |world| the_secrets_name_is_forgotten(world, Signer::Itself, READABLE);
        "self, hidden": |world| the_secrets_name_is_forgotten(world, Signer::Itself, HIDDEN);
        "the id's name": |world| the_ids_name_is_forgotten(world, READABLE);
        control "the id's name, hidden": |world| the_ids_name_is_forgotten(world, HIDDEN);
        "a password": |world| the_secrets_name_is_that_of_a_password(world);
        "a password, later": |world| later(world, READABLE, the_secrets_name_is_that_of_a_password(world));
        "the names swapped, later": |world| later(world, READABLE, the_names_are_swapped(world));
    }

    half_a_pair_is_no_start_from_nothing: "G-B02", "the secret's variable name is wrong: the working pair is torn" => {
        "role": |world| the_secrets_name_is_wrong(world, Signer::Role, READABLE, ONE_NAME);
        "role, hidden": |world| the_secrets_name_is_wrong(world, Signer::Role, HIDDEN, ONE_NAME);
        "self": |world| the_secrets_name_is_wrong(world, Signer::Itself, READABLE, ONE_NAME);
        "self, hidden": |world| the_secrets_name_is_wrong(world, Signer::Itself, HIDDEN, ONE_NAME);
        "both set, role": |world| the_secrets_name_is_wrong(world, Signer::Role, READABLE, BOTH_NAMES);
        "both set, role, hidden": |world| the_secrets_name_is_wrong(world, Signer::Role, HIDDEN, BOTH_NAMES);
        "both set, self": |world| the_secrets_name_is_wrong(world, Signer::Itself, READABLE, BOTH_NAMES);
        "both set, self, hidden": |world| the_secrets_name_is_wrong(world, Signer::Itself, HIDDEN, BOTH_NAMES);
        "both set, the id's": |world| the_ids_name_is_wrong(world, READABLE);
        "both set, the id's, hidden": |world| the_ids_name_is_wrong(world, HIDDEN);
        "later, role": |world| later(world, READABLE, the_secrets_name_is_wrong(world, Signer::Role, READABLE, BOTH_NAMES));
        "later, role, hidden": |world| later(world, HIDDEN, the_secrets_name_is_wrong(world, Signer::Role, READABLE, BOTH_NAMES));
        "later, the id's": |world| later(world, READABLE, the_ids_name_is_wrong(world, READABLE));
        control "a crash between two creations": |world| a_crash_between_two_creations_heals(world);
    }
}

const READABLE: bool = false;
const HIDDEN: bool = true;

/// Which of the two settings with names of variables are set.
const ONE_NAME: bool = false;
const BOTH_NAMES: bool = true;

const PROD: [&str; 2] = ["PROD_AWS_ACCESS_KEY_ID", "PROD_AWS_SECRET_ACCESS_KEY"];
const ID_NAME: &str = "KEYTURN_ACCESS_KEY_ID_VARIABLE";
const SECRET_NAME: &str = "KEYTURN_SECRET_ACCESS_KEY_VARIABLE";

/// What signs a run.
#[derive(Clone, Copy)]
enum Signer {
    Role,
    /// Deploy's pair, as GitLab holds it.
    Itself,
}

impl Signer {
    fn of(self, world: &World) -> Settings {
        match self {
            Signer::Role => world.by_role(),
            Signer::Itself => world.signed_by(&world.lab.old),
        }
    }
}

/// Somebody with credentials of another user runs it by hand, and names no user.
async fn another_caller(world: &World, hidden: bool) -> Held {
    rotated_once(world, hidden).await;
    let settings = world.signed_by(&world.release);
    world.is_refused(&settings, &[2, 3]).await?;
    world.works().await
}

/// The wrong user is named, one whose keys the role may create.
async fn another_user(world: &World, hidden: bool) -> Held {
    rotated_once(world, hidden).await;
    world.add_user("backup", None).await;
    world.role_may_rotate(&[USER, "backup"]).await;
    let settings = world.by_role().with("AWS_IAM_USER", "backup");
    world.is_refused(&settings, &[2, 3]).await?;
    world.works().await
}

/// Deploy's pair in the group is one that keyturn published an hour ago.
async fn rotated_once(world: &World, hidden: bool) {
    if hidden {
        world.hides(world.lab.group, SECRET);
    }
    world.does("rotate", &world.by_role()).await;
    world.advance(HOUR).await;
}

/// The same, when keyturn has rotated the pair and both periods are over: markers are there.
async fn later(world: &World, hidden: bool, then: impl Future<Output = Held>) -> Held {
    rotated_once(world, hidden).await;
    for wait in [DAY, DAY * 8] {
        world.advance(wait).await;
        world.does("retire", &world.by_role()).await;
    }
    then.await
}

async fn the_names_are_swapped(world: &World) -> Held {
    let settings = world.by_role().with(ID_NAME, SECRET).with(SECRET_NAME, ID);
    world.is_refused(&settings, &[3]).await?;
    world.works().await
}

async fn an_administrator_where_nothing_is(world: &World) -> Held {
    world.removes(world.lab.group, [ID, SECRET]);
    an_administrator_is_refused(world).await
}

async fn an_administrator_beside_an_inactive_key(world: &World, hidden: bool) -> Held {
    if hidden {
        world.hides(world.lab.group, SECRET);
    }
    world
        .lab
        .aws
        .deactivate_key(USER, &world.lab.old.id)
        .await
        .unwrap();
    an_administrator_is_refused(world).await
}

async fn an_administrator_beside_a_deleted_key(world: &World, hidden: bool) -> Held {
    rotated_once(world, hidden).await;
    world.lab.aws.delete_key(USER, &world.pair().id).await.unwrap();
    an_administrator_is_refused(world).await
}

/// Who may do everything runs it by hand, as who is told to "delete the key in IAM and run rotate" does.
async fn an_administrator_is_refused(world: &World) -> Held {
    let all = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    world.add_user("admin", Some(all)).await;
    let admin = world.lab.aws.add_key("admin", DAY * 10).await.unwrap();
    let settings = world.signed_by(&admin);
    world.is_refused(&settings, &[2, 3]).await
}

async fn the_caller_rotates_its_own_pair(world: &World) -> Held {
    let ran = world.run("rotate", &world.by_itself()).await;
    ended(&ran, &[0])?;
    must(world.pair().id != world.lab.old.id, || {
        "it did not rotate".to_owned()
    })?;
    world.works().await
}

/// Deploy's pair has names of its own, and release's pair has the usual ones.
fn two_pairs(world: &World, hidden: bool) {
    let group = world.lab.group;
    world.keeps(group, PROD, &world.lab.old);
    world.keeps(group, [ID, SECRET], &world.release);
    if hidden {
        world.hides(group, PROD[1]);
        world.hides(group, SECRET);
    }
}

async fn both_pairs_work(world: &World) -> Held {
    let group = world.lab.group;
    world.accepted(&world.pair_of(group, PROD)).await?;
    world.accepted(&world.pair_of(group, [ID, SECRET])).await
}

async fn the_secrets_name_is_forgotten(world: &World, signer: Signer, hidden: bool) -> Held {
    two_pairs(world, hidden);
    let settings = signer.of(world).with(ID_NAME, PROD[0]);
    world.is_refused(&settings, &[2]).await?;
    both_pairs_work(world).await
}

async fn the_ids_name_is_forgotten(world: &World, hidden: bool) -> Held {
    two_pairs(world, hidden);
    let settings = world.by_role().with(SECRET_NAME, PROD[1]);
    world.is_refused(&settings, &[2, 3]).await?;
    both_pairs_work(world).await
}

/// The id beside it is of a working key, and the value is readable and no secret of any key.
async fn the_secrets_name_is_that_of_a_password(world: &World) -> Held {
    let group = world.lab.group;
    world.lab.gitlab.world(|gitlab| {
        let password = Variable::credential("DB_PASSWORD", "correct-horse-battery-staple");
        gitlab.set_variable(group, password);
    });
    let settings = world.by_role().with(ID_NAME, ID).with(SECRET_NAME, "DB_PASSWORD");
    world.is_refused(&settings, &[2, 3]).await?;
    world.works().await
}

async fn the_secrets_name_is_wrong(world: &World, signer: Signer, hidden: bool, both: bool) -> Held {
    if hidden {
        world.hides(world.lab.group, SECRET);
    }
    let mut settings = signer.of(world).with(SECRET_NAME, "AWS_SECRET_KEY");
    if both {
        settings = settings.with(ID_NAME, ID);
    }
    world.is_refused(&settings, &[if both { 3 } else { 2 }]).await?;
    world.works().await
}

async fn the_ids_name_is_wrong(world: &World, hidden: bool) -> Held {
    if hidden {
        world.hides(world.lab.group, SECRET);
    }
    let settings = world
        .by_role()
        .with(ID_NAME, "AWS_KEY_ID")
        .with(SECRET_NAME, SECRET);
    world.is_refused(&settings, &[3]).await?;
    world.works().await
}

/// A half that keyturn itself left has a marker: the next run completes it.
async fn a_crash_between_two_creations_heals(world: &World) -> Held {
    let lab = &world.lab;
    world.removes(lab.group, [ID, SECRET]);
    lab.aws.delete_key(USER, &lab.old.id).await.unwrap();
    // The journal's is the first one.
    let held_up = Fault::on("POST", "/variables", Effect::Stall { millis: 5000 }).skip(1);
    lab.gitlab.fault(held_up);
    let run = world.begin("rotate", &world.by_role());
    until!(!world.pair().secret.is_empty(), "the secret is created").unwrap();
    run.killed().await;
    assert_eq!(world.pair().id, "");
    let ran = world.run("rotate", &world.by_role()).await;
    ended(&ran, &[0])?;
    world.works().await
}
