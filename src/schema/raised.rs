//! Identity classes that mappings make stronger than the schema's.

use std::collections::BTreeMap;

use super::{Class, Column};

/// The columns of one dataset whose class is stronger than the schema says, for the whole table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Raised(BTreeMap<String, Class>);

impl Raised {
    /// Makes a column at least this strong; a weaker class than one given before changes nothing.
    pub fn raise(&mut self, column: &str, class: Class) {
        let strongest = self.0.entry(column.to_owned()).or_insert(class);
        if class.strength() > strongest.strength() {
            *strongest = class;
        }
    }

    /// The class that holds for a column: the schema's, or a stronger one.
    pub fn class_of(&self, column: &Column) -> Class {
        match self.0.get(column.name) {
            Some(class) if class.strength() > column.class.strength() => *class,
            _ => column.class,
        }
    }

    /// Whether every column has the schema's class.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The columns and their classes, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Class)> {
        self.0.iter().map(|(column, class)| (column.as_str(), *class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    /// Classes only go up, in whatever order they are declared.
    #[test]
    fn only_stronger() {
        let stores = schema::dataset("stores").unwrap();
        let (address, name) = (stores.column("address").unwrap(), stores.column("name").unwrap());
        let mut raised = Raised::default();
        raised.raise("address", Class::StaffId);
        raised.raise("address", Class::FreeText);
        assert_eq!(raised.class_of(address), Class::StaffId);
        assert_eq!(raised.class_of(name), Class::None);
        let phone = schema::dataset("trade_orders").unwrap().column("receiver_phone").unwrap();
        raised.raise("receiver_phone", Class::Network);
        assert_eq!(raised.class_of(phone), Class::Contact);
    }
}
