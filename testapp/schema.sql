-- The test app's tables. In a schema of their own: the database may be somebody else's.
CREATE SCHEMA asgibench;

CREATE TABLE asgibench.users (
    id integer PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    token_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(token_sha256) = 32)
);

CREATE TABLE asgibench.orders (
    id integer PRIMARY KEY,
    user_id integer NOT NULL REFERENCES asgibench.users (id),
    placed_at timestamptz NOT NULL,
    status text NOT NULL,
    item text NOT NULL,
    quantity integer NOT NULL,
    total_cents integer NOT NULL
);

CREATE INDEX orders_of_user ON asgibench.orders (user_id, placed_at DESC, id DESC);

-- One row once everything is in place: what the data was made from.
CREATE TABLE asgibench.filled (
    fingerprint text NOT NULL
);
