"""Asks the database and the datastore as a flow's pod does; prints one line of JSON. Runs inside the metadata service's image."""

import json
import os
import time
import uuid

PATIENCE = 300  # seconds; a new role assignment or federated credential takes effect within that


def database():
    """Log in with the server's certificate verified, and ask the server how."""
    import psycopg2

    settings = {
        "host": os.environ["MF_METADATA_DB_HOST"],
        "port": os.environ["MF_METADATA_DB_PORT"],
        "dbname": os.environ["MF_METADATA_DB_NAME"],
        "user": os.environ["MF_METADATA_DB_USER"],
        "password": os.environ["MF_METADATA_DB_PSWD"],
        "sslmode": os.environ["MF_METADATA_DB_SSL_MODE"],
        "connect_timeout": 20,
    }
    if "MF_METADATA_DB_SSL_ROOT_CERT_PATH" in os.environ:
        settings["sslrootcert"] = os.environ["MF_METADATA_DB_SSL_ROOT_CERT_PATH"]
    connection = psycopg2.connect(**settings)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT ssl, version, cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        encrypted, version, cipher = cursor.fetchone()
        cursor.execute("SHOW server_version")
        (server,) = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM information_schema.tables WHERE table_name IN ('flows_v3', 'runs_v3', 'tasks_v3')")
        (tables,) = cursor.fetchone()
    if not encrypted:
        raise RuntimeError("the connection is not encrypted")
    if tables != 3:
        raise RuntimeError("Metaflow's tables are missing: the migration did not run")
    return f"PostgreSQL {server}, {version} {cipher}, {settings['sslmode']}"


def azure():
    """Write, read and delete one small blob where flows keep theirs."""
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
    from azure.identity import DefaultAzureCredential
    from azure.storage.blob import BlobServiceClient

    container, dummy, prefix = os.environ["METAFLOW_DATASTORE_SYSROOT_AZURE"].partition("/")
    endpoint = os.environ["METAFLOW_AZURE_STORAGE_BLOB_SERVICE_ENDPOINT"]
    name, content = f"{prefix}/.verify/{uuid.uuid4()}", uuid.uuid4().bytes
    end = time.monotonic() + PATIENCE
    while True:
        client = BlobServiceClient(endpoint, credential=DefaultAzureCredential()).get_container_client(container)
        try:
            client.upload_blob(name, content)
            break
        except (ClientAuthenticationError, HttpResponseError) as error:
            if error.status_code not in (None, 401, 403) or time.monotonic() > end:
                raise
            print(f"not yet: {one_line(error)}", flush=True)
            time.sleep(5)
    try:
        if client.download_blob(name).readall() != content:
            raise RuntimeError("what was read is not what was written")
    finally:
        client.delete_blob(name)
    return f"{endpoint}{container} written, read, deleted"


def main():
    checks = {"database": database, "datastore": {"azure": azure}[os.environ["METAFLOW_DEFAULT_DATASTORE"]]}
    print(json.dumps([asked(name, check) for name, check in checks.items()]), flush=True)


def asked(name, check):
    try:
        return {"name": name, "ok": True, "text": check()}
    except Exception as error:
        return {"name": name, "ok": False, "text": one_line(error)}


def one_line(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:800]


main()
