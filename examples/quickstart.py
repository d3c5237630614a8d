"""An agent with a tool, in ten lines that matter. The state of a conversation is a list.

python examples/quickstart.py                                    a script plays the model
python examples/quickstart.py --model openai:gpt-5               with OPENAI_API_KEY set
python examples/quickstart.py --model qwen3 --base-url http://localhost:11434/v1
"""

import argparse

from antiphon.agents import Agent
from antiphon.models import FunctionCall, Model, Reasoning, ScriptedModel, Text, Upstream
from antiphon.tools import tool


@tool
async def weather(city: str) -> str:
    """Today's weather in a city.

    Args:
        city: Name of the city.
    """
    return {"Lisbon": "24 degrees, clear", "Oslo": "3 degrees, sleet"}.get(city, "unknown")


SCRIPT = ScriptedModel(
    [
        [Reasoning("I should look it up."), FunctionCall("weather", {"city": "Lisbon"})],
        Text("Yes: 24 degrees and clear."),
        FunctionCall("weather", {"city": "Oslo"}),
        Text("No: 3 degrees and sleet."),
    ]
)


def main() -> None:
    """Ask twice; the second question is understood because the list goes along."""
    agent = Agent(name="guide", model=chosen(), instructions="Be brief.", tools=[weather])
    result = agent.run_sync("Is it warm in Lisbon?")
    print(result.output_text)
    result = agent.run_sync([*result.items, "And in Oslo?"])
    print(result.output_text)
    print("The state:", ", ".join(str(item.type) for item in result.items))


def chosen() -> Model | str:
    """The model that the command line names, or the script."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a name; with a prefix such as ollama: without --base-url")
    parser.add_argument("--base-url", help="a server of Responses or Chat Completions")
    asked = parser.parse_args()
    if asked.model is None:
        return SCRIPT
    return Upstream(asked.base_url).model(asked.model) if asked.base_url else asked.model


if __name__ == "__main__":
    main()
