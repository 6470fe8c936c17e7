"""The answers of OFREP 0.3.0 as JSON schemas.

The official document lets a success be any one of six kinds of value, of which the last (the code's default) matches every other as
well, so nothing with a value satisfies its `oneOf`; here a value, when present, has one of the five types.
"""

METADATA = {"type": "object", "additionalProperties": {"type": ["boolean", "string", "number"]}}
SUCCESS = {
    "type": "object",
    "required": ["key", "reason"],
    "properties": {
        "key": {"type": "string"},
        "reason": {"enum": ["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "UNKNOWN"]},
        "variant": {"type": "string"},
        "value": {"type": ["boolean", "string", "number", "object"]},
        "metadata": METADATA,
    },
    "not": {"required": ["errorCode"]},
}
FAILURE = {
    "type": "object",
    "required": ["key", "errorCode"],
    "properties": {
        "key": {"type": "string"},
        "errorCode": {"enum": ["PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "GENERAL"]},
        "errorDetails": {"type": "string"},
        "metadata": METADATA,
    },
}
NOT_FOUND = {
    "type": "object",
    "required": ["key", "errorCode"],
    "properties": {"key": {"type": "string"}, "errorCode": {"const": "FLAG_NOT_FOUND"}, "errorDetails": {"type": "string"}},
}
BULK_FAILURE = {
    "type": "object",
    "required": ["errorCode"],
    "properties": {"errorCode": {"type": "string"}, "errorDetails": {"type": "string"}},
}
EVENT_STREAM = {
    "type": "object",
    "required": ["type"],
    "oneOf": [{"required": ["url"]}, {"required": ["endpoint"]}],
    "properties": {
        "type": {"type": "string"},
        "url": {"type": "string"},
        "endpoint": {
            "type": "object",
            "required": ["requestUri"],
            "properties": {"origin": {"type": "string"}, "requestUri": {"type": "string", "pattern": "^/"}},
        },
        "inactivityDelaySec": {"type": "integer", "minimum": 1},
    },
}
BULK = {
    "type": "object",
    "required": ["flags"],
    "properties": {
        "flags": {"type": "array", "items": {"anyOf": [SUCCESS, FAILURE]}},
        "metadata": METADATA,
        "eventStreams": {"type": "array", "items": EVENT_STREAM},
    },
}
EVENT_DATA = {
    "type": "object",
    "required": ["type"],
    "properties": {"type": {"const": "refetchEvaluation"}, "etag": {"type": "string"}, "lastModified": {"type": "integer", "minimum": 0}},
}
