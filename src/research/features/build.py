"""Features: one row per snapshot and customer, made from evidence (point-in-time data) only.

Features are built from ``Evidence`` and nothing else, so none can see past its snapshot.
A count of what never happened is 0; the days since something that never happened are empty.
``describe_features`` says what each is.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
from pyarrow.parquet import ParquetWriter

from research.data.contracts import CONTRACTS, Tables, list_event_tables
from research.data.engines import Workbench
from research.errors import StudyError
from research.features.assembly import Rows, assemble, divide_parts, load_rows
from research.features.attributes import build_attributes, build_stage, build_terms
from research.features.context import BuildContext
from research.features.custom_sql import build_custom_features
from research.features.dictionary import Block, Feature, reword, tabulate
from research.features.events import build_events
from research.features.text import build_sentiment, describe_sentiment
from research.panel.customer_sample import draw_rows
from research.panel.evidence import NUMBER, Evidence, evidence_as_of, number_rows
from research.panel.labels import LABELS
from research.panel.population import count_members
from research.panel.splits import label_panel, plan_split
from research.panel.windows import KEYS
from research.store.keep import keep
from research.study import Study
from research.study_schema import OWN_FEATURES

ROWS = 20_480  # in a row group of a Parquet file: a panel is wide, more would only take memory
FLAT_ROLES = tuple(CONTRACTS["snapshot"].columns)


@keep
def load_panel(
    tables: Tables, study: Study, snapshots: Sequence[date], known_by: date | None = None
) -> pd.DataFrame:
    """Return labels and features of every population member at every snapshot.

    In the order of snapshot and customer.

    Parameters
    ----------
    tables, study, snapshots, known_by : see ``splits.label_panel``

    Returns
    -------
    DataFrame with columns snapshot, customer_id, the labels (see ``labels.label_churn``) and the
    features
        One row per snapshot and customer.
    """
    evidence, labels = label_panel(tables, study, snapshots, known_by)
    return load_features(evidence, labels, study)


@keep
def load_training(
    tables: Tables,
    study: Study,
    snapshots: Sequence[date],
    known_by: date,
    most: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rows to learn from: at most ``most``, of customers drawn at random.

    Where there are more, the features of the other customers aren't built. The draw is the same
    for every notebook of a study.

    Parameters
    ----------
    tables, study, snapshots, known_by : see ``splits.label_panel``
    most : no more than ``snapshots.train_rows`` of study.yml in any case

    Returns
    -------
    rows : see ``load_panel``
    members : of all customers, drawn or not; see ``population.count_members``
    """
    evidence, labels = label_panel(tables, study, snapshots, known_by)
    with Workbench() as workbench:
        labels = workbench.keep(labels, "labels")
        allowed = study.snapshots.train_rows
        drawn = draw_customers(labels, min(most or allowed, allowed))
        return load_features(evidence, drawn, study), count_members(labels).to_pandas()


def draw_customers(labels: ir.Table, most: int) -> ir.Table:
    """Return the rows of customers drawn at random, at most ``most``; all where there are no more.

    Every customer's rows stay together; see ``customer_sample.draw_rows``.
    """
    if labels.count().execute() <= most:
        return labels
    rows = labels.select("snapshot", "customer_id").to_pandas()
    drawn = rows.customer_id[draw_rows(rows.customer_id, most)].unique()
    return labels.semi_join(ibis.memtable({"customer_id": drawn}), "customer_id")


def load_features(evidence: Evidence, labels: ir.Table, study: Study) -> pd.DataFrame:
    """Return ``labels`` with the features of its customers, in the order of snapshot and customer.

    Its snapshots are those of the evidence.
    """
    with Workbench() as workbench:
        panel = assemble(*build_features(evidence, labels, study, workbench))
    return tidy(panel.to_pandas(self_destruct=True))


def write_panel(tables: Tables, study: Study, snapshots: Sequence[date], path: Path) -> None:
    """Write what ``load_panel`` returns to a Parquet file, without holding it in memory.

    ``assembly.PART`` customers of a snapshot are put together at a time.
    """
    evidence, labels = label_panel(tables, study, snapshots)
    with Workbench() as workbench, ExitStack() as stack:
        rows, blocks = build_features(evidence, labels, study, workbench)
        kept = [replace(block, table=workbench.keep(block.table, "block")) for block in blocks]
        writer = None
        for part in (assemble(*part) for part in divide_parts(rows, kept)):
            writer = writer or stack.enter_context(ParquetWriter(path, part.schema))
            writer.write_table(part, row_group_size=ROWS)


@keep
def load_flat(tables: Tables, study: Study) -> pd.DataFrame:
    """Return the snapshot table of a flat study, in the order of customers.

    See ``list_features`` for what may enter a model.
    """
    return tidy(tables["snapshot"].order_by("customer_id").to_pandas())


def tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """Give columns the types that models expect: numbers as float or integer, all else as text.

    Dates are dropped.
    """
    dates = [
        column for column in frame.select_dtypes(["datetime", "datetimetz"]) if column != "snapshot"
    ]
    texts = [column for column in frame if isinstance(frame[column].dtype, pd.StringDtype)]
    frame = frame.drop(columns=dates) if dates else frame
    return frame.astype(dict.fromkeys(texts, "object")) if texts else frame


def list_features(frame: pd.DataFrame, study: Study) -> list[str]:
    """Return the columns that may enter a model.

    No key, no label, no other role, no unit of randomisation, nothing that the study calls
    sensitive.
    """
    closed = {*KEYS, *LABELS, *FLAT_ROLES, *study.sensitive, study.experiment.unit}
    return [column for column in frame.columns if column not in closed]


def build_features(
    evidence: Evidence, labels: ir.Table, study: Study, workbench: Workbench
) -> tuple[Rows, Iterator[Block]]:
    """Return the labelled population, and the features of each source for ``assemble``.

    Each block is built when its turn comes.

    Parameters
    ----------
    evidence : see ``evidence_as_of``; nothing else is taken, so no feature sees past its snapshot
    labels : table with columns snapshot, customer_id and the labels
    workbench : where tables are kept that several sources need; the features are good while it is
        open
    """
    if not isinstance(evidence, Evidence):
        raise TypeError(
            f"expected evidence as of snapshots, got {type(evidence).__name__}; make it with"
            " evidence_as_of"
        )
    labels = workbench.keep(labels, "labels")
    people = workbench.keep(number_customers(labels), "people")
    context = BuildContext(evidence, study, people, workbench.keep)
    rows = load_rows(
        labels.join(people, "customer_id"), evidence.snapshots, people.count().execute()
    )
    return rows, _require_new_names({*labels.columns}, _build_all(context))


def number_customers(labels: ir.Table) -> ir.Table:
    """Return each customer_id once with a ``NUMBER``, in their order."""
    people = labels.select("customer_id").distinct()
    return people.mutate(
        **{NUMBER: ibis.row_number().over(ibis.window(order_by="customer_id")).cast("int32")}
    )


def _build_all(context: BuildContext) -> Iterator[Block]:
    """Yield the features of each source and those of the texts, which a model rates."""
    yield from _build_blocks(context)
    if (sentiment := build_sentiment(context)) is not None:
        yield _number_block(sentiment, context)


def _build_blocks(context: BuildContext) -> Iterator[Block]:
    """Yield the features of each source, in the order of their columns, under the customers'
    numbers.
    """
    yield build_attributes(context)
    if "contracts" in context.given:
        yield build_terms(context)
    yield build_stage(context)
    for name in list_event_tables():
        if name in context.given:
            yield build_events(context, name)
    if (custom := build_custom_features(context)) is not None:
        yield _number_block(custom, context)


def _number_block(block: Block, context: BuildContext) -> Block:
    return Block(number_rows(block.table, context.people), block.features)


def _require_new_names(taken: set[str], blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield blocks whose names are new; engines ignore case, so names must differ without it."""
    theirs = dict.fromkeys((column.lower() for column in taken), "")
    for block in blocks:
        names = [column for column in block.table.columns if column not in KEYS]
        if clashes := [name for name in names if name.lower() in theirs]:
            own = OWN_FEATURES in {
                block.features[0].source,
                *(theirs[name.lower()] for name in clashes),
            }
            where = (
                f"{OWN_FEATURES}: expected features"
                if own
                else "table customers: expected attributes"
            )
            rename = f"rename them in {OWN_FEATURES if own else 'customers.sql'}"
            raise StudyError(
                f"{where} whose names differ from those of other tables' features, got"
                f" {', '.join(clashes)}; {rename}"
            )
        theirs |= {name.lower(): block.features[0].source for name in names}
        yield block


@keep
def describe_features(tables: Tables, study: Study) -> pd.DataFrame:
    """Return the feature dictionary of a study, in the order of the columns.

    Parameters
    ----------
    tables : contract tables, unfiltered

    Returns
    -------
    DataFrame with columns feature, description, unit, window_days, source, when_nothing
        See ``dictionary.tabulate``.
    """
    if study.kind == "flat":
        return _describe_flat(tables["snapshot"], study)
    split = plan_split(study)
    evidence = evidence_as_of(tables, [*split.train, *split.test])
    context = BuildContext(evidence, study, number_customers(evidence["customers"]))
    built = [feature for block in _build_blocks(context) for feature in block.features]
    return tabulate(reword([*built, *describe_sentiment(context)], study))


def _describe_flat(table: ir.Table, study: Study) -> pd.DataFrame:
    closed = {*FLAT_ROLES, *study.sensitive, study.experiment.unit}
    columns = [name for name in table.columns if name not in closed]
    unit = {name: "number" if table[name].type().is_numeric() else "text" for name in columns}
    return tabulate(
        reword(
            (Feature(name, name.replace("_", " "), unit[name], "snapshot") for name in columns),
            study,
        )
    )
