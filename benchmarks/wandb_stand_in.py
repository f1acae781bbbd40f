"""A stand-in of W&B's server on this machine: takes what `wandb` sends, prints what arrived and keeps it in a folder.

To see a run arrive without an account: python -m benchmarks.wandb_stand_in, and in another terminal
WANDB_BASE_URL=http://127.0.0.1:8765 WANDB_API_KEY=<any 40 letters> wandb sync runs/wandb/wandb/offline-run-*
It answers what wandb 0.31 asks while it sends a run; it has no pages and answers no queries of wandb.Api.
Source of the protocol: the queries of wandb-core (https://github.com/wandb/wandb, core/api/graphql) and what it sends.
"""

import argparse
import gzip
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ENTITY = "local"
OWNER = {"id": ENTITY, "name": ENTITY}
FIELDS = ("project", "displayName", "groupName", "jobType", "tags", "sweep", "commit", "program", "host")
LINES = ("wandb-history.jsonl", "wandb-events.jsonl", "output.log")  # that are streamed
FOLDER = Path("runs/wandb-stand-in")


@dataclass
class Run:
    """What arrived of one run; its files lie in ``folder/files``."""

    id: str
    project: str
    folder: Path
    fields: dict[str, Any] = field(default_factory=dict)  # some of FIELDS
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in LINES})
    uses: list[str] = field(default_factory=list)  # ids of artifacts
    exit_code: int | None = None  # None while it runs

    @property
    def history(self) -> list[dict[str, Any]]:
        """The rows of metrics in their order, each with its ``_step``."""
        return [json.loads(line) for line in self.lines["wandb-history.jsonl"]]

    def keep(self) -> None:
        """Write all of it that is no file of its own."""
        about = {"id": self.id, "exit_code": self.exit_code, **self.fields, "uses": self.uses}
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, content in (("run", about), ("config", self.config), ("summary", self.summary)):
            (self.folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        for name, lines in self.lines.items():
            (self.folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@dataclass
class Artifact:
    """What arrived of one version of an artifact; its files lie in ``folder/files``, its manifest beside them."""

    id: str
    type: str
    name: str
    version: int
    digest: str
    client_id: str
    folder: Path
    aliases: list[str]
    metadata: dict[str, Any]
    committed: bool = False

    @property
    def manifest(self) -> dict[str, Any]:
        """Its entries: path, digest, size and, of a reference, where it points to."""
        manifest = self.folder / "wandb_manifest.json"
        return json.loads(manifest.read_text(encoding="utf-8"))["contents"]


class StandIn:
    """The server's memory and its answers.

    Args:
        folder: where the runs and artifacts are kept.
        show: is told of each arrival in one line.
    """

    def __init__(self, folder: Path, show: Callable[[str], None] = lambda line: None) -> None:
        self.folder, self.show = folder, show
        self.runs: dict[str, Run] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.unknown: list[str] = []  # operations it has no answer to
        self.address = ""
        self.answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "Viewer": self._viewer,
            "ArtifactType": lambda _: {"project": None},
            "ServerFeaturesQuery": lambda _: {"serverInfo": {"features": []}},
            "OrganizationCoreWeaveOrganizationID": lambda _: {"entity": {"organization": None}},
            "RunResumeStatus": self._resume_status,
            "UpsertBucket": self._upsert_run,
            "CreateRunFiles": self._create_run_files,
            "CreateArtifact": self._create_artifact,
            "CreateArtifactManifest": self._create_manifest,
            "CreateArtifactFiles": self._create_artifact_files,
            "CommitArtifact": self._commit_artifact,
            "UseArtifact": self._use_artifact,
            "ClientIDMapping": self._client_id,
        }

    def app(self) -> Starlette:
        """The web application."""
        return Starlette(
            routes=[
                Route("/graphql", self._graphql, methods=["POST"]),
                Route("/files/{entity}/{project}/{run}/file_stream", self._file_stream, methods=["POST"]),
                Route("/storage/{path:path}", self._upload, methods=["PUT"]),
            ]
        )

    async def _graphql(self, request: Request) -> Response:
        asked = json.loads(await _body(request))
        named = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])
        operation = asked.get("operationName") or (named.group(1) if named else "")
        self.address = str(request.base_url).rstrip("/")
        if operation not in self.answers:
            self.unknown.append(operation)
            return JSONResponse({"data": {}})
        return JSONResponse({"data": self.answers[operation](asked.get("variables") or {})})

    async def _file_stream(self, request: Request) -> Response:
        run = self.runs[request.path_params["run"]]
        sent = json.loads(await _body(request))
        for name, part in (sent.get("files") or {}).items():
            if name == "wandb-summary.json":
                run.summary = json.loads(part["content"][-1])
            elif name in run.lines:
                start = part["offset"]
                run.lines[name][start : start + len(part["content"])] = part["content"]
        if sent.get("complete"):
            run.exit_code = sent.get("exitcode", 0)
            rows, numbers = len(run.lines["wandb-history.jsonl"]), len(run.summary)
            self.show(f"run {run.id} ends ({run.exit_code}): {rows} rows of history, {numbers} values in its summary")
        run.keep()
        return JSONResponse({})

    async def _upload(self, request: Request) -> Response:
        folder = self.folder.resolve()
        path = (folder / request.path_params["path"]).resolve()
        if not path.is_relative_to(folder):
            return Response(status_code=400)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = await request.body()
        path.write_bytes(content)
        self.show(f"file {path.relative_to(folder)}: {len(content)} bytes")
        return Response()

    def _viewer(self, _: dict[str, Any]) -> dict[str, Any]:
        teams = {"edges": [{"node": {"name": ENTITY}}]}
        viewer = {"id": ENTITY, "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}", "teams": teams}
        return {"viewer": viewer}

    def _resume_status(self, asked: dict[str, Any]) -> dict[str, Any]:
        run, project = self.runs.get(asked["name"]), asked["project"]
        return {"model": {"id": project, "name": project, "entity": OWNER, "bucket": run and _bucket(run)}}

    def _upsert_run(self, asked: dict[str, Any]) -> dict[str, Any]:
        name, project = asked["name"], asked.get("project") or "uncategorized"
        inserted = name not in self.runs
        if inserted:
            self.runs[name] = Run(name, project, self.folder / "runs" / name)
            self.show(f"run {name}: {asked.get('displayName')}, {asked.get('jobType')}, project {project}")
        run = self.runs[name]
        run.fields |= {key: asked[key] for key in FIELDS if asked.get(key) is not None}
        if asked.get("config"):
            run.config = {key: entry["value"] for key, entry in json.loads(asked["config"]).items()}
        if asked.get("summaryMetrics"):
            run.summary = json.loads(asked["summaryMetrics"])
        run.keep()
        return {"upsertBucket": {"bucket": _bucket(run), "inserted": inserted}}

    def _create_run_files(self, asked: dict[str, Any]) -> dict[str, Any]:
        place = f"{self.address}/storage/runs/{asked['run']}/files"
        files = [{"name": name, "uploadUrl": f"{place}/{name}"} for name in asked["files"]]
        return {"createRunFiles": {"runID": asked["run"], "uploadHeaders": [], "files": files}}

    def _create_artifact(self, asked: dict[str, Any]) -> dict[str, Any]:
        wanted = asked["input"]
        kind, name, digest = wanted["artifactTypeName"], wanted["artifactCollectionName"], wanted["digest"]
        versions = [known for known in self.artifacts.values() if (known.type, known.name) == (kind, name)]
        same = next((known for known in versions if known.digest == digest and known.committed), None)
        artifact = same or Artifact(
            id=f"artifact-{len(self.artifacts)}",
            type=kind,
            name=name,
            version=len(versions),
            digest=digest,
            client_id=wanted.get("clientID") or "",
            folder=self.folder / "artifacts" / f"{name}-v{len(versions)}",
            aliases=[entry["alias"] for entry in wanted.get("aliases") or []],
            metadata=json.loads(wanted.get("metadata") or "{}"),
        )
        self.artifacts[artifact.id] = artifact
        latest = {"latestArtifact": {"id": versions[-1].id} if versions else None}
        state = "COMMITTED" if same else "PENDING"
        return {"createArtifact": {"artifact": {"id": artifact.id, "state": state, "artifactSequence": latest}}}

    def _create_manifest(self, asked: dict[str, Any]) -> dict[str, Any]:
        folder = self.artifacts[asked["artifactID"]].folder
        url = f"{self.address}/storage/artifacts/{folder.name}/{asked['name']}"
        file = {"id": asked["name"], "uploadUrl": url, "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": asked["artifactID"], "file": file}}}

    def _create_artifact_files(self, asked: dict[str, Any]) -> dict[str, Any]:
        edges = []
        for wanted in asked["input"]["artifactFiles"]:
            folder, name = self.artifacts[wanted["artifactID"]].folder.name, wanted["name"]
            place = f"artifacts/{folder}/files/{name}"
            file = {"storagePath": place, "uploadUrl": f"{self.address}/storage/{place}", "uploadHeaders": []}
            edges.append({"node": file | {"uploadMultipartUrls": None, "artifact": {"id": wanted["artifactID"]}}})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _commit_artifact(self, asked: dict[str, Any]) -> dict[str, Any]:
        artifact = self.artifacts[asked["artifactID"]]
        artifact.committed = True
        self.show(f"artifact {artifact.name}:v{artifact.version} ({artifact.type}) {' '.join(artifact.aliases)}")
        return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": artifact.digest}}}

    def _use_artifact(self, asked: dict[str, Any]) -> dict[str, Any]:
        used, run = asked["input"]["artifactID"], self.runs[asked["input"]["runName"]]
        run.uses.append(used)
        return {"useArtifact": {"artifact": {"id": used}}}

    def _client_id(self, asked: dict[str, Any]) -> dict[str, Any]:
        known = (artifact.id for artifact in self.artifacts.values() if artifact.client_id == asked["clientID"])
        return {"clientIDMapping": {"serverID": next(known, None)}}


async def _body(request: Request) -> bytes:
    body = await request.body()
    return gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body


def _bucket(run: Run) -> dict[str, Any]:
    """The answer about a run; a resumed one goes on from its counts of lines."""
    history, events, output = (run.lines[name] for name in LINES)
    return {
        "id": run.id,
        "name": run.id,
        "displayName": run.fields.get("displayName", run.id),
        "description": "",
        "config": json.dumps({key: {"value": value} for key, value in run.config.items()}),
        "sweepName": run.fields.get("sweep"),
        "project": {"id": run.project, "name": run.project, "entity": OWNER},
        "summaryMetrics": json.dumps(run.summary),
        "historyLineCount": len(history),
        "eventsLineCount": len(events),
        "logLineCount": len(output),
        "historyTail": json.dumps(history[-1:]),
        "eventsTail": json.dumps(events[-1:]),
        "tags": run.fields.get("tags") or [],
        "notes": "",
        "wandbConfig": "{}",
    }


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an application on a free port of this machine from a thread; yields its address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wandb_stand_in", description=__doc__)
    parser.add_argument("--port", type=int, default=8765, help="on 127.0.0.1 (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for what arrives (default: %(default)s)")
    args = parser.parse_args()
    print(f"http://127.0.0.1:{args.port}, keeps what arrives in {args.folder}", flush=True)
    stand_in = StandIn(args.folder, show=lambda line: print(line, flush=True))
    uvicorn.run(stand_in.app(), host="127.0.0.1", port=args.port, log_level="error")


if __name__ == "__main__":
    main()
