"""Who asks, and where: the one user of the workspace, and what its host tells of itself without being asked who."""

from __future__ import annotations

from exporter.demo.workspace.answers.requests import Document

WORKSPACE_ID = 7_405_607_613_001_234
ACCOUNT_ID = "0d26daa6-5e44-4c97-a497-ef015f91254a"


def me() -> Document:
    """GET preview/scim/v2/Me, in SCIM's own spelling."""
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "id": "6871045871823",
        "userName": "1f1c7a4e-5b1e-4b0c-9a51-9f2f0f6d9c11",
        "displayName": "lakehouse-exporter",
        "active": True,
        "emails": [{"type": "work", "value": "someone@example.com", "primary": True}],
        "groups": [{"display": "users", "type": "direct", "value": "1002"}],
    }


def databricks_config(url: str) -> Document:
    """GET /.well-known/databricks-config, for everyone."""
    return {
        "oidc_endpoint": f"{url}/oidc",
        "account_id": ACCOUNT_ID,
        "workspace_id": str(WORKSPACE_ID),
        "cloud": "AWS",
        "token_federation_default_oidc_audiences": [f"{url}/oidc/v1/token"],
    }


def authorization_server(url: str) -> Document:
    """GET /oidc/.well-known/oauth-authorization-server, for everyone."""
    return {"issuer": f"{url}/oidc", "token_endpoint": f"{url}/oidc/v1/token"}
