//! Whose pair is it? Pairs that aren't where keyturn was sent to, or not only there, and a variable that is somebody's.

use testbed::aws::Pair;
use testbed::gitlab::{Container, GroupId, Role, Token, Variable, VariableType};
use testbed::lab::USER;

use crate::case::{Held, cases};
use crate::world::{HOUR, ID, MINUTE, SECRET, Settings, World, ended, must, reason, rotation, says, told};

cases! {
    a_pair_that_is_elsewhere_is_not_shadowed: "L-A10", "right names in the wrong place, or wrong names in the right place" => {
        "(a)": |world| Elsewhere::in_the_group_above(world).refuses_the_pair_itself();
        "(b)": |world| Elsewhere::in_a_project(world).refuses_the_pair_itself();
        "(c)": |world| Elsewhere::by_other_names(world).refuses_the_pair_itself();
        "(d)": |world| Elsewhere::in_another_group(world).refuses_the_pair_itself();
        "(a) role": |world| Elsewhere::in_the_group_above(world).tells_a_role();
        "(b) role": |world| Elsewhere::in_a_project(world).tells_a_role();
        "(c) role": |world| Elsewhere::by_other_names(world).tells_a_role();
        "(d) role": |world| Elsewhere::in_another_group(world).tells_a_role();
        "plan": |world| a_plan_says_what_it_would_create(world);
        control "a first key": |world| a_first_key_is_created(world);
    }

    a_key_within_another_value_is_kept: "L-A7", "the pair also stands in a credentials file or a JSON variable" => {
        "(a)": |world| a_copy_is_seen(world, in_a_credentials_file);
        "(b)": |world| a_copy_is_seen(world, in_json);
        control "(c)": |world| a_copy_is_seen(world, by_another_name);
        "(a) later": |world| a_later_copy_is_seen(world, in_a_credentials_file);
        "(b) later": |world| a_later_copy_is_seen(world, in_json);
        control "(c) later": |world| a_later_copy_is_seen(world, by_another_name);
        control "(a) to be ignored": |world| a_copy_that_is_to_be_ignored_is(world);
    }

    the_journal_replaces_nothing: "L-A9", "KEYTURN_JOURNAL names a variable that holds something else" => {
        "": |world| the_journals_variable_is_somebodys(world, hosts());
        control "hidden": |world| the_journals_variable_is_somebodys(world, hidden(hosts()));
        control "the secret": |world| the_journals_variable_is_the_secret(world);
        control "its own": |world| a_journal_by_another_name_is_kept(world);
        control "empty": |world| an_empty_variable_may_be_named(world);
    }
}

const JOURNAL: &str = "DEPLOY_HOSTS";

/// A run that is sent to where the pair isn't.
struct Elsewhere<'a> {
    world: &'a World,
    /// Where the pair is; its names are the usual ones.
    place: Container,
    /// What the run is told.
    settings: Vec<(&'static str, String)>,
}

impl<'a> Elsewhere<'a> {
    fn in_the_group_above(world: &'a World) -> Elsewhere<'a> {
        let (above, below) = world
            .lab
            .gitlab
            .world(|gitlab| (gitlab.add_group("acme"), gitlab.add_group("acme/platform")));
        let token = Token::owner(above);
        Elsewhere::moved(world, above.into(), token, below)
    }

    fn in_a_project(world: &'a World) -> Elsewhere<'a> {
        let (project, group) = world
            .lab
            .gitlab
            .world(|gitlab| (gitlab.add_project("acme/app"), gitlab.add_group("acme")));
        Elsewhere::moved(world, project.into(), Token::owner(group), group)
    }

    fn in_another_group(world: &'a World) -> Elsewhere<'a> {
        let [one, other] = world
            .lab
            .gitlab
            .world(|gitlab| ["acme", "other"].map(|name| gitlab.add_group(name)));
        let token = Token {
            roles: [one, other].map(|group| (group.into(), Role::Owner)).to_vec(),
            ..Token::owner(one)
        };
        Elsewhere::moved(world, one.into(), token, other)
    }

    fn by_other_names(world: &'a World) -> Elsewhere<'a> {
        Elsewhere {
            world,
            place: world.lab.group.into(),
            settings: vec![
                ("KEYTURN_ACCESS_KEY_ID_VARIABLE", "AWS_ACCES_KEY_ID".to_owned()),
                (
                    "KEYTURN_SECRET_ACCESS_KEY_VARIABLE",
                    "AWS_SECRET_ACCES_KEY".to_owned(),
                ),
            ],
        }
    }

    /// The pair is nowhere but here.
    fn moved(world: &'a World, place: Container, token: Token, told: GroupId) -> Elsewhere<'a> {
        world.removes(world.lab.group, [ID, SECRET]);
        world.keeps(place, [ID, SECRET], &world.lab.old);
        let token = world.lab.gitlab.world(|gitlab| gitlab.add_token(token));
        Elsewhere {
            world,
            place,
            settings: vec![("GITLAB_GROUP_ID", told.0.to_string()), ("GITLAB_TOKEN", token)],
        }
    }

    fn settings(&self, signed: Settings) -> Settings {
        let told = self.settings.iter();
        told.fold(signed, |settings, (name, value)| settings.with(name, value))
    }

    async fn refuses_the_pair_itself(self) -> Held {
        let settings = self.settings(self.world.signed_by(&self.world.lab.old));
        self.world.is_refused(&settings, &[3]).await?;
        let pair = self.world.pair_of(self.place, [ID, SECRET]);
        self.world.accepted(&pair).await
    }

    /// Jobs use the key, and no target holds it: that is refused, or at least said.
    async fn tells_a_role(self) -> Held {
        let (world, old) = (self.world, &self.world.lab.old.id);
        world.used(old, MINUTE * 10).await;
        let before = world.snapshot().await;
        let ran = world.run("rotate", &self.settings(world.by_role())).await;
        if ran.code == Some(3) {
            world.untouched_since(&before).await?;
        } else {
            ended(&ran, &[0])?;
            must(says(&ran, old), || {
                format!("exit 0, and no word of the key that jobs use\n{}", told(&ran))
            })?;
        }
        world.accepted(&world.pair_of(self.place, [ID, SECRET])).await
    }
}

/// Neither a key nor a variable.
async fn from_nothing(world: &World) {
    world.removes(world.lab.group, [ID, SECRET]);
    world.lab.aws.delete_key(USER, &world.lab.old.id).await.unwrap();
}

async fn a_plan_says_what_it_would_create(world: &World) -> Held {
    from_nothing(world).await;
    let ran = world.run("plan", &world.by_role()).await;
    ended(&ran, &[0])?;
    let rotation = rotation(&ran);
    let said = ["steps", "warnings"].map(|part| rotation[part].as_array().cloned().unwrap_or_default());
    for name in [ID, SECRET] {
        let says_so = said.iter().flatten().any(|line| {
            let line = line.to_string();
            line.contains("creat") && line.contains(name) && !line.contains("\"step\":\"create\"")
        });
        must(says_so, || {
            format!("plan does not say that it would create {name}\n{}", told(&ran))
        })?;
    }
    Ok(())
}

async fn a_first_key_is_created(world: &World) -> Held {
    from_nothing(world).await;
    let ran = world.run("rotate", &world.by_role()).await;
    ended(&ran, &[0])?;
    world.works().await
}

fn in_a_credentials_file(pair: &Pair) -> Variable {
    let text = format!(
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        pair.id, pair.secret
    );
    Variable {
        variable_type: VariableType::File,
        ..Variable::new("AWS_SHARED_CREDENTIALS_FILE", &text)
    }
}

fn in_json(pair: &Pair) -> Variable {
    let text = serde_json::json!({"accessKeyId": pair.id, "secretAccessKey": pair.secret});
    Variable::new("AWS_CREDENTIALS", &text.to_string())
}

fn by_another_name(pair: &Pair) -> Variable {
    Variable::new("BACKUP_ACCESS_KEY_ID", &pair.id)
}

fn beside(world: &World, copy: Variable) {
    let group = world.lab.group;
    world.lab.gitlab.world(|gitlab| gitlab.set_variable(group, copy));
}

/// The variable holds the key before its first rotation.
async fn a_copy_is_seen(world: &World, copy: fn(&Pair) -> Variable) -> Held {
    let old = &world.lab.old;
    beside(world, copy(old));
    let ran = world.run("rotate", &world.by_role()).await;
    world.advance(HOUR * 25).await;
    world.run("retire", &world.by_role()).await;
    stays_active(world, &old.id).await?;
    ended(&ran, &[3])?;
    must(reason(&ran) == "held_elsewhere", || {
        format!("the reason is {}", reason(&ran))
    })?;
    world.works().await
}

/// Somebody adds the variable while the key is outgoing.
async fn a_later_copy_is_seen(world: &World, copy: fn(&Pair) -> Variable) -> Held {
    let old = &world.lab.old;
    world.does("rotate", &world.by_role()).await;
    beside(world, copy(old));
    world.advance(HOUR * 25).await;
    let ran = world.run("retire", &world.by_role()).await;
    stays_active(world, &old.id).await?;
    ended(&ran, &[3])?;
    world.works().await
}

async fn stays_active(world: &World, id: &str) -> Held {
    let status = world.status(USER, id).await;
    must(status.as_deref() == Some("Active"), || {
        format!(
            "the key that another variable holds is {}",
            status.unwrap_or("gone".to_owned())
        )
    })
}

async fn a_copy_that_is_to_be_ignored_is(world: &World) -> Held {
    let old = &world.lab.old;
    let ignored = Variable {
        description: Some("nobody reads it any more keyturn:ignore".to_owned()),
        ..in_a_credentials_file(old)
    };
    beside(world, ignored);
    ended(&world.run("rotate", &world.by_role()).await, &[0])?;
    world.advance(HOUR * 25).await;
    ended(&world.run("retire", &world.by_role()).await, &[0])?;
    let status = world.status(USER, &old.id).await;
    must(status.as_deref() == Some("Inactive"), || {
        format!("the old key is {status:?}")
    })?;
    world.works().await
}

/// Somebody's variable.
fn hosts() -> Variable {
    Variable {
        description: Some("owned by the web team".to_owned()),
        ..Variable::new(JOURNAL, "web1.example.com:web2.example.com")
    }
}

fn hidden(variable: Variable) -> Variable {
    Variable {
        masked: true,
        hidden: true,
        ..variable
    }
}

async fn the_journals_variable_is_somebodys(world: &World, theirs: Variable) -> Held {
    beside(world, theirs.clone());
    let settings = world.by_role().with("KEYTURN_JOURNAL", JOURNAL);
    let before = world.snapshot().await;
    let ran = world.run("rotate", &settings).await;
    let group = world.lab.group;
    let now = world
        .lab
        .gitlab
        .world(|gitlab| gitlab.variable(group, JOURNAL, "*"))
        .unwrap();
    must(now == theirs, || {
        format!("the variable is now {:?}, {:?}", now.value, now.description)
    })?;
    world.untouched_since(&before).await?;
    ended(&ran, &[2, 3])?;
    world.works().await
}

async fn the_journals_variable_is_the_secret(world: &World) -> Held {
    let settings = world.by_role().with("KEYTURN_JOURNAL", SECRET);
    world.is_refused(&settings, &[2, 3]).await?;
    world.works().await
}

/// What keyturn wrote there before is no reason to stop.
async fn a_journal_by_another_name_is_kept(world: &World) -> Held {
    let settings = world.by_role().with("KEYTURN_JOURNAL", JOURNAL);
    world.rotates_fully(&settings).await;
    ended(&world.run("rotate", &settings).await, &[0])?;
    world.works().await
}

async fn an_empty_variable_may_be_named(world: &World) -> Held {
    beside(world, Variable::new(JOURNAL, ""));
    let settings = world.by_role().with("KEYTURN_JOURNAL", JOURNAL);
    ended(&world.run("rotate", &settings).await, &[0])?;
    world.works().await
}
