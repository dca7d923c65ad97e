"""The read tables are called after what they hold, in every generation that is kept. Data is kept."""

from django.db import migrations

from eventstore.migration_operations import RenamePermissions, of_model
from projections.migration_operations import RenameReadModel


class Migration(migrations.Migration):
    dependencies = [("ordering", "0003_request_status_mail"), ("projections", "0004_names")]

    operations = [
        RenameReadModel("ConferenceOnSale", "ConferenceSummary"),
        RenameReadModel("SaleOfConference", "ConferenceSales"),
        RenameReadModel("SalesOfDay", "DailySales"),
        RenamePermissions(
            "ordering",
            renamed={
                **of_model("conferenceonsale", "conferencesummary"),
                **of_model("saleofconference", "conferencesales"),
                **of_model("salesofday", "dailysales"),
            },
        ),
    ]
