"""The rotation that most teams write first, as an AWS Lambda handler: the baseline of the benchmark.

It is deliberately the usual one: no answer is looked at, and every other key is removed at once. keyturn is measured
against it for time and memory; what it does to a pipeline when a request fails is the reason why keyturn exists.
"""

import json
import os

import boto3
import requests


def handler(event, context):
    settings = json.loads(
        boto3.client("secretsmanager").get_secret_value(
            SecretId="gitlab-key-rotation-secrets"
        )["SecretString"]
    )
    user = settings["AWS_IAM_USER"]
    iam = boto3.client("iam")
    new = iam.create_access_key(UserName=user)["AccessKey"]

    variables = f"{os.environ['GITLAB_API_URL']}/groups/{settings['GITLAB_GROUP_ID']}/variables"
    token = {"PRIVATE-TOKEN": settings["GITLAB_TOKEN"]}
    requests.put(
        f"{variables}/AWS_ACCESS_KEY_ID",
        headers=token,
        data={"value": new["AccessKeyId"]},
        timeout=10,
    )
    requests.put(
        f"{variables}/AWS_SECRET_ACCESS_KEY",
        headers=token,
        data={"value": new["SecretAccessKey"]},
        timeout=10,
    )

    for key in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]:
        if key["AccessKeyId"] != new["AccessKeyId"]:
            iam.update_access_key(
                UserName=user, AccessKeyId=key["AccessKeyId"], Status="Inactive"
            )
            iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    return {"rotated": new["AccessKeyId"]}


if __name__ == "__main__":
    handler({}, None)
