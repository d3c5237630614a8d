"""What a model reads of a cell: its logs up to a bound, its images; tables only as text."""

from antiphon.items import (
    ITEM,
    CodeInterpreterCall,
    Content,
    FunctionCallOutput,
    Html,
    Image,
    InputImage,
    InputText,
    Item,
    Logs,
    lower,
)

BOUND = 64 * 1024


def read(*outputs: Logs | Html | Image) -> Content:
    """What the model reads of a cell with these outputs, and of its replay."""
    item: Item = CodeInterpreterCall(
        id="ci", status="completed", container_id="c", code="f()", outputs=list(outputs)
    )
    again = ITEM.validate_json(item.model_dump_json())
    assert again == item
    (_, output), (_, replayed) = lower([item]), lower([again])
    assert isinstance(output, FunctionCallOutput) and output == replayed
    return output.output


def test_a_table_is_read_as_its_text() -> None:
    assert read(Logs(logs="a b\n"), Html(html="<b>a b</b>")) == "a b\n"
    assert read(Html(html="<b>a b</b>")) == "[no output]"


def test_long_logs_are_read_from_both_ends_and_what_is_missing_is_said() -> None:
    whole = "a" * BOUND
    assert read(Logs(logs=whole)) == whole
    told = read(Logs(logs=f"first{whole}last"))
    assert isinstance(told, str) and len(told) < BOUND + 100
    assert told.startswith("first") and told.endswith("last")
    assert "\n[9 characters left out]\n" in told


def test_images_stand_behind_long_logs() -> None:
    parts = read(Logs(logs="a" * 2 * BOUND), Image(url="data:image/png;base64,AA=="))
    assert isinstance(parts, list)
    text, image = parts
    assert isinstance(text, InputText) and len(text.text) < BOUND + 100
    assert image == InputImage(image_url="data:image/png;base64,AA==")
