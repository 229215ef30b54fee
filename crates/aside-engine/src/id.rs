//! Ids of the engine's own rows: 32 bytes, hexadecimal in the loopback API, blobs in the database, never confused.

/// Declares a 32-byte id with its text form and its database form.
macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let [a, b, c, d, ..] = self.0;
                write!(f, concat!(stringify!($name), "({:02x}{:02x}{:02x}{:02x}…)"), a, b, c, d)
            }
        }

        impl std::str::FromStr for $name {
            type Err = crate::id::NotAnId;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                crate::id::from_hex(text).map(Self).ok_or(crate::id::NotAnId)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string" })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let position = d.position();
                d.bytes()?.try_into().map(Self).map_err(|_| {
                    minicbor::decode::Error::message(concat!(stringify!($name), " has another length")).at(position)
                })
            }
        }

        impl rusqlite::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(rusqlite::types::ToSqlOutput::from(&self.0[..]))
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                <[u8; 32]>::column_result(value).map(Self)
            }
        }
    };
}
pub(crate) use row_id;

/// Text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 64 hexadecimal digits")]
pub struct NotAnId;

/// Reads 64 hexadecimal digits.
pub(crate) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |c: u8| (c as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let mut bytes = [0; 32];
    let mut digits = text.bytes();
    if text.len() != 64 {
        return None;
    }
    for byte in &mut bytes {
        *byte = digit(digits.next()?)? << 4 | digit(digits.next()?)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use crate::conversation::ConversationId;

    #[test]
    fn ids_are_read_as_they_are_printed() {
        let id = ConversationId(std::array::from_fn(|i| i as u8 * 7));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("xy".repeat(32).parse::<ConversationId>().is_err());
        assert!("00".parse::<ConversationId>().is_err());
    }
}
