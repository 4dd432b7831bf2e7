-- Moves on with every act that ends a user's sessions: a sign-in that saw an earlier one begins no session any more.
ALTER TABLE users ADD COLUMN security_stamp INTEGER NOT NULL DEFAULT 0;
