"""exporter/secret.py"""

import base64
import copy
import hashlib
import logging
import pickle
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.secret import Secret, redacted

TOKEN = "dapi0123456789"


@pytest.mark.parametrize("shown", [repr, str, "{}".format, "{!r}".format, "%s".__mod__, "%r".__mod__])
def test_shown(shown: object) -> None:
    """However a secret is made text, the text is Secret('***')."""
    assert callable(shown)
    assert shown(Secret(TOKEN)) == "Secret('***')"


def test_inside() -> None:
    """A container of secrets shows asterisks, and a secret has no attributes to list."""
    assert repr([Secret(TOKEN)]) == "[Secret('***')]"
    assert not hasattr(Secret(TOKEN), "__dict__")


def test_logged(caplog: pytest.LogCaptureFixture) -> None:
    """A secret that is logged by accident shows asterisks."""
    logging.getLogger("test").warning("token %s", Secret(TOKEN))

    assert caplog.messages == ["token Secret('***')"]


def test_pickled() -> None:
    """A pickle does not hold the text, nor does a copy: neither can be used by mistake for long."""
    assert TOKEN.encode() not in pickle.dumps(Secret(TOKEN))
    assert copy.copy(Secret(TOKEN)).reveal() == "***"


def test_reveal() -> None:
    """reveal() gives the text."""
    assert Secret(TOKEN).reveal() == TOKEN


def test_equal() -> None:
    """Secrets of one text are equal and hash alike; a text is no secret."""
    assert Secret(TOKEN) == Secret(TOKEN)
    assert hash(Secret(TOKEN)) == hash(Secret(TOKEN))
    assert Secret(TOKEN) != Secret("other")
    assert Secret(TOKEN) != TOKEN


REDACTED = [
    ("no login with password=hunter2 here", "no login with password=*** here"),
    ("PASSWD : hunter2", "PASSWD : ***"),
    ("no login as 'x' with password 'hunter 2'", "no login as 'x' with password ***'"),
    ('{"user": "x", "client_secret": "a b\\"c", "host": "y"}', '{"user": "x", "client_secret": ***", "host": "y"}'),
    ('{\\"password\\":\\"x\\"}', '{\\"password\\":***'),
    ("Map(password -> hunter2, user -> x)", "Map(password -> *** user -> x)"),
    ("password%3Dhunter2", "password%3D***"),
    ("fs.azure.account.key.acc.dfs.core.windows.net=abc==", "fs.azure.account.key.acc.dfs.core.windows.net=***"),
    ("spark.hadoop.fs.s3a.secret.key: abc", "spark.hadoop.fs.s3a.secret.key: ***"),
    ("Endpoint=sb://h/;SharedAccessKeyName=Root;SharedAccessKey=abc=", "Endpoint=sb://h/;SharedAccessKeyName=***"),
    ("AccountName=a;AccountKey=abc==", "AccountName=a;AccountKey=***"),
    ("x-api-key: abc", "x-api-key: ***"),
    ("https://a.blob.core.windows.net/c?sv=1&sig=a%2Bb", "https://a.blob.core.windows.net/c?sv=1&sig=***"),
    ("https://b.s3.amazonaws.com/k?X-Amz-Signature=ab", "https://b.s3.amazonaws.com/k?X-Amz-Signature=***"),
    ("https://b.s3.amazonaws.com/k?X-Amz-Credential=ab&X-Amz-Date=1", "https://b.s3.amazonaws.com/k?X-Amz-Credential=***"),
    ("https://user:hunter2@host/path", "https://***@host/path"),
    ("jdbc:oracle:thin:scott/tiger@//h:1521/x", "jdbc:oracle:thin:***@//h:1521/x"),
    ("Authorization: Digest a, b", "Authorization: ***"),
    ("sent Bearer abcdef", "sent Bearer ***"),
    ("sent basic dTpwYXNz", "sent basic ***"),
    (
        'kafka.sasl.jaas.config=a.b.PlainLoginModule required username="u" password="p";',
        "kafka.sasl.jaas.config=***",
    ),
    ("token dapi0123456789abcdef0123456789abcdef-2 refused", "token *** refused"),
    ("token dose0123456789abcdef0123456789abcdef refused", "token *** refused"),
    ("got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_1 back", "got *** back"),
    # The pair that Amazon's documentation uses.
    ("AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "*** ***"),
    ("ASIAIOSFODNN7EXAMPLE " + "a" * 40, "*** ***"),
    ("a -----BEGIN RSA PRIVATE KEY-----\nab cd\n-----END RSA PRIVATE KEY----- b", "a *** b"),
    ("a -----BEGIN PRIVATE KEY----- ab cd", "a ***"),
    ("sha " + "0123456789abcdef" * 3, "sha ***"),
    ("sha " + "deadbeef" * 5, "sha ***"),
    # Names and values as SQL Server, SQL, Scala, Python, JSON, XML and command lines write them.
    ("password={hunter2 secret;x} refused", "password=*** refused"),
    ("password={a}}b c d} refused", "password=*** refused"),
    ("(password 'it''s secret')", "(password ***')"),
    ('(password "a""b secret")', '(password ***")'),
    ("(spark.hadoop.fs.s3a.secret.key,hunter2secret) (a,b)", "(spark.hadoop.fs.s3a.secret.key,*** (a,b)"),
    ('("password", "x")', '("password", ***")'),
    ("('password', 'x y')", "('password', ***')"),
    ("[--user, x, --password, hunter2]", "[--user, x, --password, ***"),
    ('("Cookie", "a=b; c=d")', '("Cookie", ***'),
    ('{"password": ["a", "hunter3"], "host": "y"}', '{"password": *** "host": "y"}'),
    ('{"password": [["a b"], "c d"], "host": "y"}', '{"password": *** "host": "y"}'),
    ('{"password": {"value": "x", "other": "y"}}', '{"password": ***'),
    ('{"password": {"a": {"b": 1}, "c": "d e"}, "host": "y"}', '{"password": *** "host": "y"}'),
    ('{"a": {"password": {"b": "c d"}}, "host": "y"}', '{"a": {"password": *** "host": "y"}'),
    ('{"password": ["a", "b c', '{"password": ***'),
    ('{"key": "password", "value": "a b", "host": "y"}', '{"key": "password", "value": ***", "host": "y"}'),
    ("--password hunter2secret --host y", "--password *** --host y"),
    ("-sasl.password 'hunter 2' --host y", "-sasl.password *** --host y"),
    ("<AccountKey>x y</AccountKey><Host>z</Host>", "<AccountKey>***<Host>z</Host>"),
    ("<password><plain>x y</plain></password>", "<password>***</password>***"),
    ('<a name="password">x y</a><b>z</b>', '<a name="password">***<b>z</b>'),
    ("<name>fs.s3a.secret.key</name>\n  <value>x y</value>", "<name>fs.s3a.secret.key</name>\n  <value>***"),
    # Before a host.
    ("https://svc:pa/ss@db/path", "https://***@db/path"),
    ("https://svc:p@s?s#1@db/path", "https://***@db/path"),
    ("https://glpat-x@gitlab.com", "https://***@gitlab.com"),
    ("https://x_oauth@gitlab.com/a.git", "https://***@gitlab.com/a.git"),
    ("abfss://user:hunter2@account/path", "abfss://***@account/path"),
    # Forms of their own. In pieces, so that no scanner takes them for true ones.
    ("got glpat" + "-abcdefghij0123456789 back", "got *** back"),
    ("got AIza" + "Sy-abcdefghijklmnopqrstuvwxyz012345 back", "got *** back"),
    ("got sk_" + "live_abcdefghijklmnopqrstuvwx back", "got *** back"),
    ("got rk_" + "test_abcdefghijklmnopqrstuvwx back", "got *** back"),
    ("got hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH back", "got *** back"),
    ("got github" + "_pat_11ABCDEFG0abcdefghijkl_mn back", "got *** back"),
    *(
        ("got " + kind + "_abcdefghijklmnopqrstuvwxyz0123456789 back", "got *** back")
        for kind in ("ghp", "gho", "ghu", "ghs", "ghr")
    ),
    ("got xox" + "b-123456789012-abcdefghijkl back", "got *** back"),
    ("Cookie: a=b; session=c d", "Cookie: ***"),
    ("Set-Cookie: session=abc; Path=/\nHost: y", "Set-Cookie: ***\nHost: y"),
]


@pytest.mark.parametrize(("text", "shown"), REDACTED)
def test_redacted(text: str, shown: str) -> None:
    """What is named as a secret, or looks like one, is asterisks; what stands around it stays."""
    assert redacted(text) == shown


INNOCENT = [
    "java.lang.OutOfMemoryError: Java heap space",
    "java.lang.IllegalArgumentException: Option 'basePath' must be a directory",
    (
        "org.apache.spark.SparkException: Job aborted due to stage failure: Task 0 in stage 620.0 failed 1 times, most recent"
        " failure: Lost task 0.0 in stage 620.0 (TID 1151) (ip-10-0-0-5.eu-west-1.compute.internal executor driver): "
    ),
    (
        "org.apache.spark.SparkArithmeticException: [DIVIDE_BY_ZERO] Division by zero. Use `try_divide` to tolerate divisor being 0"
        ' and return NULL instead. If necessary set "spark.sql.ansi.enabled" to "false" to bypass this error. SQLSTATE: 22012'
    ),
    "py4j.Py4JException: An exception was raised by the Python Proxy. Return Message: Traceback (most recent call last):",
    "org.apache.spark.api.python.PythonException: [PYTHON_EXCEPTION] An exception was thrown from the Python worker: Traceback",
    (
        "java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: This server"
        " does not host this topic-partition."
    ),
    (
        "java.lang.IllegalStateException: Cannot fetch offset 72 (GroupId: spark-kafka-source-2d6dbc13-e985-4454-ad68-3f86462dcf84"
        "-73757163-executor, TopicPartition: orders-0)."
    ),
    "java.lang.IllegalStateException: Partition l357rec-0's offset was changed from 96 to 8, some data may have been missed.",
    "org.apache.spark.sql.kafka010.KafkaIllegalStateException: Some data may have been lost because they are not available;",
    (
        "[STREAM_FAILED] Query [id = 2d6dbc13-e985-4454-ad68-3f86462dcf84, runId = 3f86462d-e985-4454-ad68-2d6dbc132d6d]"
        " terminated with exception: Set(l357few-2, l357few-1) are gone."
    ),
    (
        "[CANNOT_LOAD_STATE_STORE.CANNOT_READ_DELTA_FILE_NOT_EXISTS] An error occurred during loading state. Error reading delta file"
        " dbfs:/Volumes/main/Checkpoints/orders_v2/state/0/17/4711.delta of HDFSStateStoreProvider[id = (op=0,part=17)]"
    ),
    (
        "io.delta.exceptions.ConcurrentAppendException: [DELTA_CONCURRENT_APPEND] Files were added to partition [date=2026-11-22] by"
        " a concurrent update."
    ),
    (
        "java.io.FileNotFoundException: abfss://bronze@account.dfs.core.windows.net/orders/part-00000-2d6dbc13-e985-4454-ad68-"
        "3f86462dcf84-c000.snappy.parquet"
    ),
    "org.apache.spark.sql.AnalysisException: [DELTA_SCHEMA_CHANGED_WITH_STARTING_OPTIONS] Detected schema change in version 7",
    "org.apache.kafka.common.errors.SaslAuthenticationException: Authentication failed: Invalid username or password",
    "com.databricks.common.client.DatabricksServiceHttpClientException: SecretNotFoundException: Secret does not exist",
    "java.security.SignatureException: Signature length not correct: got 64 but was expecting 256",
    "com.amazonaws.services.s3.model.AmazonS3Exception: Access Denied (Service: Amazon S3; Status Code: 403; Request ID: 4711)",
    "org.apache.spark.sql.execution.streaming.state.StateStoreValueRowFormatValidationFailure: row of unexpected size",
    (
        'java.nio.file.AccessDeniedException: Operation failed: "This request is not authorized to perform this operation using'
        ' this permission.", 403, PUT, https://account.dfs.core.windows.net/bronze/orders, AuthorizationPermissionMismatch, "This'
        ' request is not authorized to perform this operation using this permission."'
    ),
    "org.apache.spark.SparkException: Could not find spark://CoarseGrainedScheduler@10.0.0.5:43211.",
    "java.io.IOException: no answer from hdfs://namenode:8020/user/me@example.com/orders",
    "java.io.IOException: neither wasb://bronze@account.blob.core.windows.net/orders nor its new place is there",
    "com.microsoft.sqlserver.jdbc.SQLServerException: jdbc:sqlserver://server:1433;user=me@server;database=orders is closed",
    "ImportError: cannot import name 'x' from 'risk_live_position_totals' (/tmp/hf_datasets_cache/ghp_cache/token.delegation.py)",
    "org.apache.hadoop.security.AccessControlException: the delegation-token is too old for hdfs.delegation.token-service yet",
]


@pytest.mark.parametrize("line", INNOCENT)
def test_innocent(line: str) -> None:
    """First lines as Spark, Kafka, Delta and clouds write them hold no secret, and lose nothing."""
    assert redacted(line) == line


def key(number: int) -> str:
    """40 characters that look as if they were drawn by chance."""
    return base64.b64encode(hashlib.sha512(str(number).encode()).digest()[:30]).decode()


# Around a secret stands anything but the beginning of another one's name or value.
anything = st.text(st.characters(exclude_characters="=:>%-"))
named = st.sampled_from(
    [
        "password",
        "passwd",
        "pwd",
        "secret",
        "token",
        "accesskey",
        "access_key",
        "sas",
        "sig",
        "signature",
        "apikey",
        "api.key",
        "credential",
        "client_secret",
        "sharedaccesskey",
        "AccountKey",
        "sasl.jaas.config",
        "fs.azure.account.key.a.dfs.core.windows.net",
        "authorization",
        "X-Amz-Signature",
    ]
)
planted = st.sampled_from(
    [
        " {name}={secret} ",
        " {name}: {secret}\n",
        ' "{name}": "{secret}" ',
        ' "{name}":"a {secret} b" ',
        " {name} -> {secret}) ",
        " ?{name}={secret}&",
        " ({name},{secret}) ",
        ' ("{name}", "{secret}") ',
        " {name}={{a {secret} b}} ",
        ' "{name}": ["a", "{secret}"] ',
        " --{name} {secret} ",
        " <{name}>a {secret}</{name}> ",
        " <name>{name}</name><value>{secret}</value> ",
        " s3://user:a/{safe}/b@host ",
        " s3://{safe}@host ",
        " Bearer {secret} ",
        " Basic {secret}== ",
        " s3://user:{safe}@host ",
        " eyJ{safe}.{safe}.{safe} ",
        " -----BEGIN PRIVATE KEY-----\n{secret}\n-----END PRIVATE KEY----- ",
        " AKIA0123456789ABCDEF {secret} ",
        " {hexadecimal} ",
        " dapi{hexadecimal} ",
    ]
)


@given(anything, named, planted, st.integers(), anything)
def test_planted(before: str, name: str, form: str, number: int, after: str) -> None:
    """Whatever stands around it, no secret survives in any of its spellings."""
    secret = key(number)
    safe = secret.replace("/", "_").replace("+", "-")
    hexadecimal = hashlib.sha256(secret.encode()).hexdigest()
    text = before + form.format(name=name, secret=secret, safe=safe, hexadecimal=hexadecimal) + after

    for each in (secret, safe, hexadecimal):
        assert each[8:20] not in redacted(text)


def test_unnamed() -> None:
    """Of keys of 40 characters that have neither a name nor a form fewer than one in a hundred is taken for a word."""
    survived = [number for number in range(2_000) if redacted(key(number)) == key(number)]

    assert len(survived) < 20


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a",
            "token",
            "token ",
            "password=",
            "eyJ",
            "-----BEGIN x",
            "-----BEGIN x-----",
            "://",
            "://a:",
            "aA1",
            'a"',
            "secret.",
        ),
        *("password='\\", "access key ", "AKIA", "dapi", "bearer ", ":thin:a/", " \t", "authorization:\n", "token\\\\ ", "0-"),
        *("password={", "password=[", "password={}}a", "token> ", "--", "--a", "glpat-"),
    ],
)
def test_hostile(text: str) -> None:
    """A megabyte that is made to be slow takes seconds at most: time grows with the length, not with its square."""
    began = time.process_time()
    redacted(text * (1_000_000 // len(text)))

    assert time.process_time() - began < 10
