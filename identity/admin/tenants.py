"""Tenants and their signing keys."""

from identity.actions.signing_keys import list_signing_keys, rotate_keys
from identity.actions.tenants import change_tenant, create_tenant, list_tenants, resolve_tenant
from identity.admin import requests, responses
from identity.admin.endpoints import operation
from identity.admin.parsing import changes_in, cut_page, read_id_cursor, write_cursor
from identity.edge.call import Call
from identity.edge.runtime import runtime, transaction_of_new_tenant
from identity.model.errors import Unavailable
from identity.model.signing_key import SigningKey, signing_key
from identity.model.tenant import Tenant, issuer_of


def tenant_of_call(call: Call) -> Tenant:
    """Return the tenant that the URL names."""
    if call.tenant is None:
        raise AssertionError("the path of this operation names a tenant")
    return call.tenant


def present_tenant(call: Call) -> Tenant:
    """Return the same as it is now: what may change of a tenant is not kept in a process."""
    return resolve_tenant(call.tx, tenant_of_call(call).slug)


def _tenant(tenant: Tenant) -> responses.Tenant:
    return responses.Tenant(
        id=tenant.id,
        slug=tenant.slug,
        display_name=tenant.display_name,
        state=tenant.state,
        issuer=issuer_of(runtime().external_url, tenant.slug),
        task_lifetime_max_s=tenant.task_lifetime_max_s,
        max_task_s=tenant.max_task_s,
        created_at=tenant.created_at,
    )


def _key(key: SigningKey, signing: str | None) -> responses.Key:
    return responses.Key(
        kid=key.kid,
        alg=key.alg,
        state=key.state,
        is_signing=key.kid == signing,
        public_jwk=dict(key.public_jwk),
        created_at=key.created_at,
        activates_at=key.activates_at,
        verify_until=key.verify_until,
    )


@operation("POST", "/tenants", body=requests.NewTenant, answer=responses.Tenant, status=201)
def create_tenant_(call: Call, asked: requests.NewTenant) -> responses.Tenant:
    """Create a tenant, with its issuer and its first signing key."""
    with transaction_of_new_tenant(call.tx) as tx:
        created = create_tenant(
            tx,
            slug=asked.slug,
            display_name=asked.display_name,
            encryption=runtime().encryption,
            caller=call.caller,
            now=call.now,
        )
    return _tenant(created)


@operation("GET", "/tenants", query=requests.Page, answer=responses.TenantList)
def list_tenants_(call: Call, page: requests.Page) -> responses.TenantList:
    """List tenants."""
    rows = list_tenants(call.tx, after=read_id_cursor(page.after), limit=page.limit + 1)
    shown, cursor = cut_page(rows, page.limit, lambda tenant: write_cursor(str(tenant.id)))
    return responses.TenantList(items=[_tenant(tenant) for tenant in shown], next_cursor=cursor)


@operation("GET", "/tenants/{tenant}", answer=responses.Tenant)
def get_tenant(call: Call) -> responses.Tenant:
    """Read one tenant."""
    return _tenant(present_tenant(call))


@operation("PATCH", "/tenants/{tenant}", body=requests.TenantChange, answer=responses.Tenant)
def change_tenant_(call: Call, asked: requests.TenantChange) -> responses.Tenant:
    """Change the name of a tenant, or what it allows of tokens and tasks from now on."""
    changed = change_tenant(call.tx, present_tenant(call), changes_in(asked), caller=call.caller, now=call.now)
    return _tenant(changed)


@operation("GET", "/tenants/{tenant}/keys", answer=responses.Keys)
def list_keys(call: Call) -> responses.Keys:
    """List the signing keys that still verify."""
    keys = list_signing_keys(call.tx, now=call.now)
    try:
        signing = signing_key(keys, call.now).kid
    except Unavailable:
        signing = None
    return responses.Keys(items=[_key(key, signing) for key in keys], next_cursor=None)


@operation("POST", "/tenants/{tenant}/keys/rotate", body=requests.Nothing, answer=responses.Key)
def rotate_keys_(call: Call) -> responses.Key:
    """Publish a new signing key; it signs once every cached key set has it."""
    key = rotate_keys(call.tx, encryption=runtime().encryption, caller=call.caller, now=call.now)
    return _key(key, None)
