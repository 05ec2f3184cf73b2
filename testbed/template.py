"""Resolves lambda/template.yaml for tests: the functions and conditions in it, with these parameters, as CloudFormation does.

    python testbed/template.py [PARAMETER=VALUE]... > resolved.json

A resource whose condition is false is left out, and `AWS::NoValue` removes what holds it. Anything that isn't known here
is an error, so that a test never judges a half-resolved policy.
"""

import json
import pathlib
import re
import sys

import yaml

TEMPLATE = pathlib.Path(__file__).parent.parent / "lambda" / "template.yaml"
PSEUDO = {
    "AWS::Partition": "aws",
    "AWS::AccountId": "123456789012",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "keyturn",
}
NO_VALUE = object()


class Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix in ("Ref", "Condition"):
        return {suffix: value}
    if suffix == "GetAtt":
        value = value.split(".", 1)
    return {f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", short_form)


def constraint(parameter, value):
    """What of the parameter's constraints this value violates, if any."""
    known = {"Type", "Description", "Default", "NoEcho", "ConstraintDescription", "AllowedPattern", "AllowedValues"}
    known |= {"MinValue", "MaxValue", "MinLength", "MaxLength"}
    if set(parameter) - known:
        raise SystemExit(f"not known here: {sorted(set(parameter) - known)}")
    pattern = parameter.get("AllowedPattern")
    if pattern and not re.fullmatch(pattern, value):
        return parameter["ConstraintDescription"]
    if "AllowedValues" in parameter and value not in map(str, parameter["AllowedValues"]):
        return "not one of its values"
    if len(value) < parameter.get("MinLength", 0):
        return f"shorter than {parameter['MinLength']}"
    if len(value) > parameter.get("MaxLength", len(value)):
        return f"longer than {parameter['MaxLength']}"
    if parameter["Type"] == "Number":
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
            return "not a number"
        if float(value) < parameter.get("MinValue", float(value)):
            return f"less than {parameter['MinValue']}"
        if float(value) > parameter.get("MaxValue", float(value)):
            return f"more than {parameter['MaxValue']}"
    return None


class Resolver:
    def __init__(self, template, given):
        parameters = template["Parameters"]
        unknown = set(given) - set(parameters)
        if unknown:
            raise SystemExit(f"no such parameters: {sorted(unknown)}")
        self.template = template
        self.values = dict(PSEUDO)
        for name, parameter in parameters.items():
            value = str(given.get(name, parameter.get("Default", "")))
            violated = constraint(parameter, value)
            if violated:
                raise SystemExit(f"{name}={value!r}: {violated}")
            self.values[name] = value.split(",") if parameter["Type"] == "CommaDelimitedList" else value
        for name, rule in template["Rules"].items():
            if "RuleCondition" in rule and not self.holds(rule["RuleCondition"]):
                continue
            for assertion in rule["Assertions"]:
                if not self.holds(assertion["Assert"]):
                    raise SystemExit(f"{name}: {assertion['AssertDescription']}")

    def condition(self, name):
        return self.holds(self.template["Conditions"][name])

    def holds(self, node):
        ((function, value),) = node.items()
        if function == "Condition":
            return self.condition(value)
        if function == "Fn::Not":
            return not self.holds(value[0])
        if function == "Fn::And":
            return all(map(self.holds, value))
        if function == "Fn::Or":
            return any(map(self.holds, value))
        if function == "Fn::Equals":
            left, right = map(self.resolve, value)
            return left == right
        raise SystemExit(f"unknown condition {function}")

    def resolve(self, node):
        if isinstance(node, list):
            resolved = map(self.resolve, node)
            return [item for item in resolved if item is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, value),) = node.items()
            if function == "Ref":
                return self.reference(value)
            if function == "Fn::GetAtt":
                return self.attribute(*value)
            if function == "Fn::If":
                name, yes, no = value
                return self.resolve(yes if self.condition(name) else no)
            if function == "Fn::Split":
                return self.resolve(value[1]).split(value[0])
            if function == "Fn::Sub":
                return re.sub(r"\$\{([^!}]+)\}", lambda found: self.reference(found[1]), value)
            if function.startswith("Fn::"):
                raise SystemExit(f"unknown function {function}")
        resolved = {name: self.resolve(value) for name, value in node.items()}
        return {name: value for name, value in resolved.items() if value is not NO_VALUE}

    def reference(self, name):
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.values:
            return self.values[name]
        kind = self.template["Resources"][name]["Type"]
        if kind == "AWS::SecretsManager::Secret":
            return f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{self.values['SecretName']}-AbCdEf"
        if kind == "AWS::SNS::Topic":
            return f"arn:aws:sns:us-east-1:123456789012:keyturn-{name}"
        if kind in ("AWS::Lambda::Function", "AWS::Logs::LogGroup", "AWS::Scheduler::ScheduleGroup"):
            return self.values["AWS::StackName"]
        raise SystemExit(f"Ref of {kind} is not known here")

    def attribute(self, name, attribute):
        kind = self.template["Resources"][name]["Type"]
        account = "arn:aws:{}:us-east-1:123456789012:{}"
        stack = self.values["AWS::StackName"]
        known = {
            ("AWS::IAM::Role", "Arn"): f"arn:aws:iam::123456789012:role/{stack}-{name}",
            ("AWS::Lambda::Function", "Arn"): account.format("lambda", f"function:{stack}"),
            ("AWS::Logs::LogGroup", "Arn"): account.format("logs", f"log-group:/aws/lambda/{stack}:*"),
        }
        if (kind, attribute) not in known:
            raise SystemExit(f"{attribute} of {kind} is not known here")
        return known[kind, attribute]

    def resources(self):
        resolved = {}
        for name, resource in self.template["Resources"].items():
            condition = resource.get("Condition")
            if condition is None or self.condition(condition):
                resolved[name] = {"Type": resource["Type"], "Properties": self.resolve(resource["Properties"])}
        return resolved


def resolved(parameters, text=None):
    template = yaml.load(TEMPLATE.read_text() if text is None else text, Loader)
    return Resolver(template, parameters).resources()


if __name__ == "__main__":
    given = dict(argument.split("=", 1) for argument in sys.argv[1:])
    json.dump(resolved(given), sys.stdout, indent=1)
