"""Deploys lambda/template.yaml to ministack, whose Scheduler invokes the real archive, and lets the test see what became of it.

It talks to the test by lines of JSON: says the user's first key, is told where GitLab is, says what the stack is and what its
schedule did, is given the pair that GitLab then holds, and says whether that works.
"""

import argparse
import json
import os
import pathlib
import platform
import socket
import subprocess
import sys
import time

import boto3

ROOT = pathlib.Path(__file__).parent.parent.parent
USER, STACK, BUCKET = "deploy", "keyturn", "archives"
DEPLOY_TIME, SCHEDULE_TIME = 60, 150


def say(**members):
    print(json.dumps(members, default=str), flush=True)


def hear():
    return json.loads(sys.stdin.readline())


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def client(service, url, key="test", secret="test"):
    return boto3.client(
        service, endpoint_url=url, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret
    )


def until(holds, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = holds()
        except Exception:  # not up yet
            found = None
        if found:
            return found
        time.sleep(0.5)
    raise SystemExit(f"not within {seconds} s: {what}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--archive", type=pathlib.Path, required=True)
    arguments = arguments.parse_args()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": os.environ["PATH"],
        "AUTH": "true",
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LAMBDA_EXECUTOR": "local",
        "AWS_ENDPOINT_URL": url,
    }
    ministack = pathlib.Path(sys.executable).parent / "ministack"
    server = subprocess.Popen([ministack], env=environment, stdout=sys.stderr, stderr=sys.stderr)
    try:
        run(url, arguments.archive)
    finally:
        server.terminate()
        server.wait()


def run(url, path):
    iam, logs = client("iam", url), client("logs", url)
    until(lambda: iam.list_users() is not None, 30, "ministack answers")
    iam.create_user(UserName=USER)
    key = iam.create_access_key(UserName=USER)["AccessKey"]
    say(id=key["AccessKeyId"], secret=key["SecretAccessKey"])

    gitlab = hear()
    settings = {
        "GITLAB_TOKEN": gitlab["token"],
        "GITLAB_GROUP_ID": gitlab["group"],
        "GITLAB_API_URL": gitlab["url"],
        "AWS_IAM_USER": USER,
    }
    secret = client("secretsmanager", url).create_secret(
        Name="gitlab-key-rotation-secrets", SecretString=json.dumps(settings)
    )
    s3 = client("s3", url)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="keyturn.zip", Body=path.read_bytes())
    cloudformation = client("cloudformation", url)
    parameters = {
        "AwsIamUser": USER,
        "SecretArn": secret["ARN"],
        # ministack keeps no record of use, and without one no rotation is begun that waits for disuse.
        "Grace": "0s",
        "CodeBucket": BUCKET,
        "CodeKey": "keyturn.zip",
        "Architecture": "arm64" if platform.machine() == "aarch64" else "x86_64",
        "RotateSchedule": "rate(1 minute)",
        "RetireSchedule": "rate(12 hours)",
    }
    deployed = time.monotonic()
    cloudformation.create_stack(
        StackName=STACK,
        TemplateBody=(ROOT / "lambda" / "template.yaml").read_text(),
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    )

    def finished():
        (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
        return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

    stack = until(finished, DEPLOY_TIME, "the stack is complete")
    resources = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
    say(
        stack=stack["StackStatus"],
        why=stack.get("StackStatusReason"),
        resources={r["LogicalResourceId"]: r["ResourceType"] for r in resources},
        seconds=round(time.monotonic() - deployed, 1),
    )

    def log():
        events = logs.filter_log_events(logGroupName=f"/aws/lambda/{STACK}")["events"]
        return [event["message"].rstrip("\n") for event in events]

    def rotated():
        lines = log()
        return lines if any('"CloudWatchMetrics"' in line for line in lines) else None

    try:
        lines = until(rotated, SCHEDULE_TIME, "the schedule has fired and the function has ended")
    except SystemExit as late:
        groups = logs.describe_log_groups()["logGroups"]
        say(late=str(late), groups=[group["logGroupName"] for group in groups])
        return
    keys = iam.list_access_keys(UserName=USER)["AccessKeyMetadata"]
    say(log=lines, keys=[key["AccessKeyId"] for key in keys], seconds=round(time.monotonic() - deployed, 1))

    pair = hear()
    caller = client("sts", url, pair["id"], pair["secret"]).get_caller_identity()
    say(caller=caller["Arn"])


if __name__ == "__main__":
    main()
