-- +goose Up

-- For the refused attempts of one caller, newest first.
CREATE INDEX refusal_caller ON refusal (tenant, caller, id);
