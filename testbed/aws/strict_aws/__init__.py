"""A strict stand-in for AWS IAM, STS and Secrets Manager, for tests.

moto keeps the state (users, roles, policies, secrets). Everything a key
rotator stands or falls with is decided here, in front of it: signatures, key
status, sessions, permissions, quotas, propagation, and AWS's own error shapes.
Faults, a movable clock and a journal are reached under ``/_strict``.
"""
