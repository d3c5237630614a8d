"""A spreadsheet goes in, a report comes out: uploaded, analysed by code, cited, downloaded.

python examples/spreadsheet_report.py                   a script plays the model
python examples/spreadsheet_report.py --model openai:gpt-5
python examples/spreadsheet_report.py --model qwen3 --base-url http://localhost:11434/v1

The client is OpenAI's own. The code runs in Docker with pandas and openpyxl, reads orders.xlsx,
and writes report.xlsx with a chart. Where there is no container engine the script's code runs on
this machine with the standard library, and report.csv it is; a real model's code never does.
"""

import argparse
import socket
import tempfile
from pathlib import Path

import anyio
import uvicorn
from openai import AsyncOpenAI

from antiphon.errors import SandboxUnavailable
from antiphon.models import FunctionCall, Model, ScriptedModel, Upstream, resolve
from antiphon.provider import Provider
from antiphon.sandboxes import DockerSandboxes, LocalSandboxes, Sandboxes
from antiphon.tools import CodeInterpreter

DATA = Path(__file__).with_name("data")
QUESTION = "Which region grew most? Write a report with the euros of each region and a chart."

CODE = {
    "xlsx": """\
import pandas as pd
from openpyxl.chart import LineChart, Reference

euros = pd.read_excel("orders.xlsx").pivot(index="month", columns="region", values="euros")
growth = euros.iloc[-1] / euros.iloc[0] - 1
with pd.ExcelWriter("report.xlsx") as writer:
    euros.to_excel(writer, sheet_name="euros")
    growth.to_excel(writer, sheet_name="growth")
    sheet, chart = writer.sheets["euros"], LineChart()
    chart.add_data(Reference(sheet, range_string="euros!$B$1:$D$4"), titles_from_data=True)
    chart.set_categories(Reference(sheet, range_string="euros!$A$2:$A$4"))
    writer.book.create_chartsheet("chart").add_chart(chart)
print(growth.map("{:+.0%}".format).to_dict())
""",
    "csv": """\
import csv

euros = {}
for row in csv.DictReader(open("orders.csv")):
    euros.setdefault(row["region"], []).append(int(row["euros"]))
growth = {region: sums[-1] / sums[0] - 1 for region, sums in euros.items()}
with open("report.csv", "w", newline="") as file:
    csv.writer(file).writerows((region, *sums, growth[region]) for region, sums in euros.items())
print({region: f"{by:+.0%}" for region, by in growth.items()})
""",
}
ANSWER = "The south grew most, by 52%: see [the report](sandbox:/mnt/data/report.{})."


async def report(client: AsyncOpenAI, model: str, sheet: Path) -> None:
    """What any client of OpenAI's API does; nothing in here knows of antiphon."""
    folder = Path(tempfile.mkdtemp(prefix="report-"))
    upload = await client.files.create(file=sheet, purpose="user_data")
    response = await client.responses.create(
        model=model,
        input=QUESTION,
        tools=[
            {"type": "code_interpreter", "container": {"type": "auto", "file_ids": [upload.id]}}
        ],
        include=["code_interpreter_call.outputs"],
    )
    if response.error:
        print(f"failed: {response.error.message}")
    for item in response.output:
        if item.type == "code_interpreter_call":
            print(*(one.logs for one in item.outputs or [] if one.type == "logs"), sep="")
        elif item.type == "message" and item.content[0].type == "output_text":
            print(item.content[0].text)
            for cited in item.content[0].annotations:
                if cited.type == "container_file_citation":
                    path = folder / Path(cited.filename).name  # code has named it
                    await save(client, cited.container_id, cited.file_id, path)


async def save(client: AsyncOpenAI, container: str, file: str, path: Path) -> None:
    """Download a file that was cited."""
    content = await client.containers.files.content.retrieve(file, container_id=container)
    content.write_to_file(path)
    print(f"saved {path} ({len(content.content):,} bytes)")


async def main() -> None:
    """Serve a model with a code interpreter on a free port, and ask it."""
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--model")
    parser.add_argument("--base-url")
    asked = parser.parse_args()
    sandboxes: Sandboxes = DockerSandboxes()
    try:
        await sandboxes.warm_up()  # the first time, this builds the image
        kind = "xlsx"
    except SandboxUnavailable as missing:
        if asked.model:
            parser.error(f"a real model's code needs containers: {missing}")
        print("No containers: the script's code runs on this machine, without pandas.")
        sandboxes, kind = LocalSandboxes(), "csv"
    script = [FunctionCall("code_interpreter", {"code": CODE[kind]}), ANSWER.format(kind)]
    model: Model = ScriptedModel(script)
    if asked.model:
        server = asked.base_url and Upstream(asked.base_url)
        model = server.model(asked.model) if server else resolve(asked.model)
    app = Provider(models=[model], tools=[CodeInterpreter(sandboxes)])
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        client = AsyncOpenAI(base_url=url, api_key="none")
        async with sandboxes, client, anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            await report(client, model.name, DATA / f"orders.{kind}")
            server.should_exit = True


if __name__ == "__main__":
    anyio.run(main)
