"""Where permissions come from: groups, managed policies, boundaries, tags."""

from conftest import ACCOUNT, allow, deny, document, refusal

DENIED = ("AccessDenied", 403)


def test_a_group_and_a_managed_policy_grant(stand):
    key = stand.user("deploy")
    admin = stand.client("iam")
    admin.create_group(GroupName="readers")
    admin.put_group_policy(
        GroupName="readers", PolicyName="p", PolicyDocument=document(allow("iam:List*"))
    )
    iam = stand.client("iam", key)
    assert refusal(iam.list_users) == DENIED
    admin.add_user_to_group(GroupName="readers", UserName="deploy")
    iam.list_users()
    policy = admin.create_policy(
        PolicyName="no-lists", PolicyDocument=document(deny("iam:List*"))
    )["Policy"]["Arn"]
    admin.attach_user_policy(UserName="deploy", PolicyArn=policy)
    assert refusal(iam.list_users) == DENIED


def test_policies_of_aws_itself_can_be_attached(stand):
    key = stand.user("deploy")
    stand.client("iam").attach_user_policy(
        UserName="deploy", PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess"
    )
    iam = stand.client("iam", key)
    iam.list_users()
    assert refusal(iam.create_access_key) == DENIED


def test_the_default_version_of_a_managed_policy_counts(stand):
    key = stand.user("deploy")
    admin = stand.client("iam")
    arn = admin.create_policy(
        PolicyName="grants", PolicyDocument=document(allow("iam:List*"))
    )["Policy"]["Arn"]
    admin.attach_user_policy(UserName="deploy", PolicyArn=arn)
    iam = stand.client("iam", key)
    iam.list_users()
    admin.create_policy_version(
        PolicyArn=arn, PolicyDocument=document(allow("sts:*")), SetAsDefault=True
    )
    assert refusal(iam.list_users) == DENIED


def test_a_boundary_caps_what_a_policy_grants(stand):
    key = stand.user("deploy", allow("iam:*"))
    admin = stand.client("iam")
    arn = admin.create_policy(
        PolicyName="cap", PolicyDocument=document(allow("iam:List*"))
    )["Policy"]["Arn"]
    admin.put_user_permissions_boundary(UserName="deploy", PermissionsBoundary=arn)
    shown = admin.get_user(UserName="deploy")["User"]["PermissionsBoundary"]
    assert shown["PermissionsBoundaryArn"] == arn
    iam = stand.client("iam", key)
    iam.list_users()
    assert refusal(iam.create_access_key) == DENIED
    admin.delete_user_permissions_boundary(UserName="deploy")
    iam.create_access_key()


def test_a_tag_on_the_user_decides(stand):
    tagged = {"StringEquals": {"aws:ResourceTag/rotate": "yes"}}
    key = stand.user("rotator", allow("iam:*", Condition=tagged))
    iam = stand.client("iam", key)
    stand.user("deploy")
    assert refusal(iam.list_access_keys, UserName="deploy") == DENIED
    stand.client("iam").tag_user(
        UserName="deploy", Tags=[{"Key": "rotate", "Value": "yes"}]
    )
    iam.list_access_keys(UserName="deploy")


def test_the_callers_identity_can_not_be_denied(stand):
    key = stand.user("deploy", deny("*"))
    assert stand.who(key) == f"arn:aws:iam::{ACCOUNT}:user/deploy"


def simulated(stand, actions, resources):
    answer = stand.client("iam").simulate_principal_policy(
        PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:user/deploy",
        ActionNames=actions,
        ResourceArns=resources,
    )
    return answer["EvaluationResults"]


def test_the_simulator_judges_each_resource_and_the_whole(stand):
    own = f"arn:aws:iam::{ACCOUNT}:user/deploy"
    other = f"arn:aws:iam::{ACCOUNT}:user/other"
    stand.user(
        "deploy",
        allow("iam:*AccessKey", "arn:aws:iam::*:user/${aws:username}"),
        deny("iam:DeleteUser"),
    )
    create, delete = simulated(
        stand, ["iam:CreateAccessKey", "iam:DeleteUser"], [own, other]
    )
    assert create["EvalDecision"] == "implicitDeny"
    specific = {
        one["EvalResourceName"]: one["EvalResourceDecision"]
        for one in create["ResourceSpecificResults"]
    }
    assert specific == {own: "allowed", other: "implicitDeny"}
    assert delete["EvalDecision"] == "explicitDeny"
    assert delete["MatchedStatements"][0]["SourcePolicyId"] == "p"


def test_the_simulator_names_the_context_it_would_need(stand):
    office = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    stand.user("deploy", allow("iam:GetUser", Condition=office))
    (result,) = simulated(stand, ["iam:GetUser"], ["*"])
    assert result["EvalDecision"] == "implicitDeny"
    assert result["MissingContextValues"] == ["aws:SourceIp"]
