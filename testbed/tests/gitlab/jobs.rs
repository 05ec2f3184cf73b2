//! What a job gets when a runner picks it up.

use serde_json::json;
use testbed::gitlab::{Action, Job, Variable, VariableType};

use crate::client::{Bench, ID, SECRET};

fn scoped(scope: &str, value: &str) -> Variable {
    Variable {
        environment_scope: scope.into(),
        ..Variable::new("KEY", value)
    }
}

#[tokio::test]
async fn a_job_picked_up_between_two_puts_sees_a_mixed_pair() {
    let bench = Bench::new().await;
    let keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    bench.gitlab.world(|world| {
        world.set_variable(bench.group, Variable::credential(keys[0], ID));
        world.set_variable(
            bench.group,
            Variable {
                hidden: true,
                ..Variable::credential(keys[1], SECRET)
            },
        );
    });
    let sees = |protected: bool| bench.gitlab.job_sees(bench.project, &keys, protected);
    let some = |value: &str| Some(value.to_owned());
    assert_eq!(sees(true), [some(ID), some(SECRET)]);
    assert_eq!(sees(false), [None, None]);
    bench
        .put(
            &bench.of_group("/AWS_ACCESS_KEY_ID"),
            json!({"value": "AKIAI44QH8DHBEXAMPLE"}),
        )
        .await;
    assert_eq!(sees(true), [some("AKIAI44QH8DHBEXAMPLE"), some(SECRET)]);
    let changes = bench.gitlab.world(|world| world.changes().to_vec());
    let told: Vec<_> = changes
        .iter()
        .filter(|change| change.key == keys[0])
        .map(|change| (change.by.as_str(), change.action, change.value.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("test", Action::Created, ID),
            ("owner", Action::Updated, "AKIAI44QH8DHBEXAMPLE")
        ]
    );
}

#[tokio::test]
async fn a_job_gets_the_nearest_and_most_specific_variable() {
    let bench = Bench::new().await;
    let seen = |environment: Option<&str>| {
        let environment = environment.map(str::to_owned);
        let job = Job {
            container: bench.project.into(),
            protected_ref: false,
            environment,
        };
        bench
            .gitlab
            .world(|world| world.job_variables(&job).get("KEY").map(str::to_owned))
    };
    bench.gitlab.world(|world| {
        let parent = world.add_group("parent");
        world.set_variable(parent, scoped("production", "parent's"));
        world.set_variable(bench.group, scoped("*", "group's"));
        world.set_variable(bench.group, scoped("review/*", "group's for reviews"));
        world.set_variable(bench.group, scoped("review/one", "group's for one review"));
    });
    assert_eq!(seen(None).as_deref(), Some("group's"));
    assert_eq!(seen(Some("production")).as_deref(), Some("group's"));
    assert_eq!(seen(Some("review/two")).as_deref(), Some("group's for reviews"));
    assert_eq!(
        seen(Some("review/one")).as_deref(),
        Some("group's for one review")
    );
    let file = Variable {
        variable_type: VariableType::File,
        ..scoped("*", "project's")
    };
    bench
        .gitlab
        .world(|world| world.set_variable(bench.project, file));
    assert_eq!(seen(Some("review/one")).as_deref(), Some("project's"));
}
