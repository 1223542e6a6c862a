"""Every limit of the SCIM edge with its unit, except for the bytes of a body, which are a setting.

ServiceProviderConfig publishes those for which it has members (RFC 7643 §5).
"""

DEPTH_MAX = 32  # nested JSON arrays and objects
BYTES_PER_VALUE = 10  # an installation that takes larger bodies takes as many more values in them
VALUES_MAX = 1024 * 1024 // BYTES_PER_VALUE  # of a body's JSON, names included; 20,000 members of a group are 60,000
DOCUMENT_BYTES_MAX = 1024 * 1024  # of a resource without members, as JSON
INTEGER_MAX = 2**63 - 1  # what a signed 64-bit integer holds

FILTER_CHARACTERS_MAX = 2_048  # Keycloak 2,048; Zitadel 1,000
FILTER_TERMS_MAX = 20  # comparisons and presence tests
FILTER_COMPARISONS_MAX = 400  # that its terms stand for; each costs half a millisecond of a processor
FILTER_DEPTH_MAX = 10  # nested brackets; Keycloak 10

PAGE_SIZE = 100  # resources, where the client names no count
PAGE_SIZE_MAX = 200
CURSOR_LIFETIME_S = 3_600
CURSOR_CHARACTERS_MAX = 4_096  # a sort value of 256 characters makes one of 2,000 at most

OPERATIONS_MAX = 100  # per PATCH; Keycloak 100
PATCH_WORK_MAX = 150_000  # units (identity.model.work): about half a second of a processor at most
STEPS_MAX = 500  # attributes named by all operations of a PATCH together
MEMBERS_MAX = 1_000  # values of one multi-valued attribute in one operation or body; AWS 100, IBM 2,500
ATTRIBUTES_MAX = 100  # names in attributes or excludedAttributes

BULK_OPERATIONS_MAX = 1_000
BULK_WORK_MAX = 10 * PATCH_WORK_MAX  # of all PATCHes of a Bulk together
BULK_ID_CHARACTERS_MAX = 256

ASYNC_VALUES_MIN = 100  # operations and values of a PATCH; a smaller one is done before a client could poll its result
ASYNC_WAIT_S_MAX = 10  # for a Bulk; a thread of the web process works as long
ASYNC_RETRY_S = 2  # until a client should poll a result again

UNIQUE_CHARACTERS_MAX = 512  # of a value that a tenant's schema says is unique, as sent and as compared
EXTERNAL_ID_CHARACTERS_MAX = 512  # an index entry holds 2,700 bytes
DISPLAY_NAME_CHARACTERS_MAX = 256
EMAIL_CHARACTERS_MAX = 320  # 64 + @ + 255 (RFC 5321 §4.5.3.1)
