"""The database itself refuses to change what was used."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'entries of the ledger are never changed or deleted';
END $$;
CREATE TRIGGER ledger_append_only BEFORE UPDATE OR DELETE ON quotas_ledgerentry
  FOR EACH ROW EXECUTE FUNCTION ledger_refuse();
CREATE TRIGGER ledger_no_truncate BEFORE TRUNCATE ON quotas_ledgerentry
  FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse();
"""
ALLOW = """
DROP TRIGGER ledger_no_truncate ON quotas_ledgerentry;
DROP TRIGGER ledger_append_only ON quotas_ledgerentry;
DROP FUNCTION ledger_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("quotas", "0001_initial")]

    operations = [migrations.RunSQL(REFUSE, ALLOW)]
