//! The tables of the source, as it describes them itself.

use std::fmt::Write as _;

use sqlx::SqliteConnection;

use super::MoveError;
use super::cells::Cell;

/// The classes of values a column of a strict table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Real,
    Text,
    Blob,
}

/// A column.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Its type in PostgreSQL, once that was asked.
    pub(super) target_type: String,
    /// Whether PostgreSQL counts its values by a sequence.
    pub(super) is_counted: bool,
}

/// A table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    /// Where the columns of the primary key stand.
    key: Vec<usize>,
    /// The tables its rows refer to.
    parents: Vec<String>,
}

/// The migrations' own records are no data: each database has its own.
const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
     AND name <> '_countersign_migrations' ORDER BY name";
const COLUMNS: &str = "SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid";
const PARENTS: &str = "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list($1)";

/// All tables, each after those its rows refer to.
pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Vec<Table>, MoveError> {
    let failed = |error: sqlx::Error| MoveError::Source(error.to_string());
    let names: Vec<String> = sqlx::query_scalar(TABLES).fetch_all(&mut *connection).await.map_err(failed)?;
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        let columns: Vec<(String, String, i64)> =
            sqlx::query_as(COLUMNS).bind(&name).fetch_all(&mut *connection).await.map_err(failed)?;
        let parents: Vec<String> =
            sqlx::query_scalar(PARENTS).bind(&name).fetch_all(&mut *connection).await.map_err(failed)?;
        tables.push(Table::new(name, columns, parents)?);
    }
    in_order(tables)
}

/// Parents before children.
fn in_order(mut left: Vec<Table>) -> Result<Vec<Table>, MoveError> {
    let mut ordered: Vec<Table> = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let is_known = |name: &String| ordered.iter().any(|table| table.name == *name);
        let ready =
            |table: &Table| table.parents.iter().all(|parent| *parent == table.name || is_known(parent));
        let (now, later): (Vec<Table>, Vec<Table>) = left.into_iter().partition(ready);
        if now.is_empty() {
            let names: Vec<&str> = later.iter().map(|table| table.name.as_str()).collect();
            return Err(MoveError::Refused(format!("the tables {} refer to each other", names.join(", "))));
        }
        ordered.extend(now);
        left = later;
    }
    Ok(ordered)
}

impl Table {
    fn new(
        name: String,
        columns: Vec<(String, String, i64)>,
        parents: Vec<String>,
    ) -> Result<Self, MoveError> {
        let mut key: Vec<(i64, usize)> = Vec::new();
        let mut known = Vec::with_capacity(columns.len());
        for (at, (column, declared, place_in_key)) in columns.into_iter().enumerate() {
            if place_in_key > 0 {
                key.push((place_in_key, at));
            }
            let kind = match declared.to_ascii_uppercase().as_str() {
                "INTEGER" | "INT" => Kind::Integer,
                "REAL" => Kind::Real,
                "TEXT" => Kind::Text,
                "BLOB" => Kind::Blob,
                other => {
                    return Err(MoveError::Refused(format!(
                        "{name}.{column} is of a type that cannot be moved: {other:?}"
                    )));
                }
            };
            known.push(Column { name: column, kind, target_type: String::new(), is_counted: false });
        }
        if key.is_empty() {
            return Err(MoveError::Refused(format!("the table {name} has no primary key")));
        }
        key.sort_unstable();
        Ok(Self { name, columns: known, key: key.into_iter().map(|(_, at)| at).collect(), parents })
    }

    /// The primary key of a row.
    pub(super) fn key_of(&self, row: &[Cell]) -> Vec<Cell> {
        self.key.iter().filter_map(|at| row.get(*at)).cloned().collect()
    }

    /// The columns, quoted.
    pub(super) fn column_list(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|column| quoted(&column.name)).collect();
        names.join(", ")
    }

    /// The rows after a key, up to another, as SQLite is asked for them: in order of the primary key.
    pub(super) fn select(&self, has_lower: bool, has_upper: bool) -> String {
        let columns = self.key.iter().filter_map(|at| self.columns.get(*at));
        let key = columns.map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ");
        let mut next = 0;
        let mut placeholders = || {
            let numbers = next + 1..=next + self.key.len();
            next += self.key.len();
            numbers.map(|number| format!("${number}")).collect::<Vec<_>>().join(", ")
        };
        let mut statement = format!("SELECT {} FROM {}", self.column_list(), quoted(&self.name));
        if has_lower {
            write!(statement, " WHERE ({key}) > ({})", placeholders()).ok();
        }
        if has_upper {
            let word = if has_lower { "AND" } else { "WHERE" };
            write!(statement, " {word} ({key}) <= ({})", placeholders()).ok();
        }
        write!(statement, " ORDER BY {key}").ok();
        statement
    }

    /// How PostgreSQL turns arrays, one per column from `$1` on, into rows of this table named `given`.
    pub(super) fn given(&self) -> String {
        let arrays = self.columns.iter().enumerate().map(|(at, column)| {
            let kind = match column.kind {
                Kind::Integer => "bigint",
                Kind::Real => "double precision",
                Kind::Text => "text",
                Kind::Blob => "bytea",
            };
            format!("${}::{kind}[]", at + 1)
        });
        let arrays = arrays.collect::<Vec<_>>().join(", ");
        format!("UNNEST({arrays}) AS given({})", self.column_list())
    }

    /// The columns of `given`, each as the type the target has.
    pub(super) fn converted(&self) -> Vec<String> {
        let convert = |column: &Column| {
            let name = format!("given.{}", quoted(&column.name));
            match column.target_type.as_str() {
                "boolean" => format!("({name} <> 0)"),
                target => format!("CAST({name} AS {target})"),
            }
        };
        self.columns.iter().map(convert).collect()
    }
}

impl Column {
    /// Takes in the type PostgreSQL has for it, when values of this kind fit into that.
    pub(super) fn fits(&mut self, target_type: &str) -> bool {
        let fitting: &[&str] = match self.kind {
            Kind::Integer => &["bigint", "integer", "smallint", "boolean"],
            Kind::Real => &["double precision", "real"],
            Kind::Text => &["text", "character varying", "json", "jsonb"],
            Kind::Blob => &["bytea"],
        };
        target_type.clone_into(&mut self.target_type);
        fitting.contains(&target_type)
    }
}

/// A name as both databases quote it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, parents: &[&str]) -> Table {
        let column = |name: &str, kind: &str, key| (name.to_owned(), kind.to_owned(), key);
        let columns = vec![column("b", "BLOB", 2), column("a", "TEXT", 1), column("c\"", "INTEGER", 0)];
        let parents = parents.iter().map(|parent| (*parent).to_owned()).collect();
        Table::new(name.to_owned(), columns, parents).unwrap()
    }

    #[test]
    fn parents_come_first_and_circles_are_refused() {
        let tables = vec![table("a", &["b"]), table("b", &["c", "b"]), table("c", &[])];
        let ordered: Vec<String> = in_order(tables).unwrap().into_iter().map(|table| table.name).collect();
        assert_eq!(ordered, ["c", "b", "a"]);
        assert!(in_order(vec![table("a", &["b"]), table("b", &["a"])]).is_err());
    }

    #[test]
    fn rows_are_asked_for_in_order_of_the_key() {
        let table = table("t", &[]);
        assert_eq!(
            table.select(true, true),
            "SELECT \"b\", \"a\", \"c\"\"\" FROM \"t\" WHERE (\"a\", \"b\") > ($1, $2) \
             AND (\"a\", \"b\") <= ($3, $4) ORDER BY \"a\", \"b\""
        );
        assert!(table.select(false, true).contains("WHERE (\"a\", \"b\") <= ($1, $2)"));
        let row = [Cell::Integer(1), Cell::Integer(2), Cell::Integer(3)];
        assert_eq!(table.key_of(&row), [Cell::Integer(2), Cell::Integer(1)]);
    }
}
