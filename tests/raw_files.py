"""What the tests of raw files share: a small CSV, its adapter, an XLSX writer, faults of a call."""

import hashlib
import zipfile
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from research.data import load
from research.errors import StudyError
from research.study import Study

EXCEL_START = pd.Timestamp("1899-12-30")  # day 0 of a workbook
CSV = "customer_id,joined_at\na,2023-01-01\nb,2023-02-01\n"
SNAPSHOT = "SELECT customer_id, customer_id = 'a' AS churned FROM raw_x"


def checksum(content: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(content.encode()).hexdigest()


def faults_of(call, *arguments) -> tuple[str, ...]:
    """Return the faults that a call raises."""
    with pytest.raises(StudyError) as caught:
        call(*arguments)
    return caught.value.faults


def read(study: Study) -> pd.DataFrame:
    """Return the snapshot that a flat study's SQL makes of its raw files."""
    return load.load_tables(study)["snapshot"].order_by("customer_id").execute()


def write_xlsx(path: Path, **sheets: list[list]) -> None:
    """Write the least that is an XLSX file: one XML part per sheet, texts inline."""
    office = "http://schemas.openxmlformats.org"
    with zipfile.ZipFile(path, "w") as parts:
        parts.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{office}/package/2006/content-types"><Default Extension="rels"'
            " ContentType="
            '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml"'
            " ContentType="
            '"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
        )
        link = (
            f'<Relationship Id="r{{0}}" Type="{office}/officeDocument/2006/relationships/{{1}}"'
            ' Target="{2}"/>'
        )
        links = f'<Relationships xmlns="{office}/package/2006/relationships">{{0}}</Relationships>'
        parts.writestr(
            "_rels/.rels", links.format(link.format(0, "officeDocument", "xl/workbook.xml"))
        )
        parts.writestr(
            "xl/_rels/workbook.xml.rels",
            links.format(
                "".join(link.format(i, "worksheet", f"sheet{i}.xml") for i in range(len(sheets)))
            ),
        )
        listed = "".join(
            f'<sheet name="{name}" sheetId="{i + 1}" r:id="r{i}"/>' for i, name in enumerate(sheets)
        )
        names = (
            f'xmlns="{office}/spreadsheetml/2006/main"'
            f' xmlns:r="{office}/officeDocument/2006/relationships"'
        )
        parts.writestr("xl/workbook.xml", f"<workbook {names}><sheets>{listed}</sheets></workbook>")
        parts.writestr(
            "xl/styles.xml",
            f"<styleSheet {names}><cellXfs><xf numFmtId='0'/><xf numFmtId='14'/></cellXfs>"
            "</styleSheet>",
        )
        for i, rows in enumerate(sheets.values()):
            cells = "".join(f"<row>{''.join(map(_cell, row))}</row>" for row in rows)
            parts.writestr(
                f"xl/sheet{i}.xml", f"<worksheet {names}><sheetData>{cells}</sheetData></worksheet>"
            )


def _cell(value: bool | float | str | date | None) -> str:
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, date):
        return f'<c s="1"><v>{(pd.Timestamp(value) - EXCEL_START) / pd.Timedelta(days=1)}</v></c>'
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>'
    return f"<c><v>{value}</v></c>"
