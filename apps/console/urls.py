from django.urls import path

from apps.console.views import adapting, audit, deployments, jobs, models, planning, workers

app_name = "console"

urlpatterns = [
    path("", deployments.home, name="home"),
    path("deployments/", deployments.listing, name="deployments"),
    path("deployments/create/", deployments.create, name="create_deployment"),
    path("deployments/<slug:name>/", deployments.detail, name="deployment"),
    path("deployments/<slug:name>/add/", deployments.add_revision, name="add_revision"),
    path("deployments/<slug:name>/share/", deployments.share, name="share"),
    path("deployments/<slug:name>/guard/", deployments.guard, name="guard"),
    path("deployments/<slug:name>/roll-back/", deployments.roll_back, name="roll_back"),
    path("deployments/<slug:name>/pause/", deployments.pause, name="pause"),
    path("deployments/<slug:name>/resume/", deployments.resume, name="resume"),
    path("deployments/<slug:name>/delete/", deployments.delete, name="delete_deployment"),
    path("revisions/<int:revision_id>/scale/", deployments.scale, name="scale"),
    path("revisions/<int:revision_id>/promote/", deployments.promote, name="promote"),
    path("revisions/<int:revision_id>/retry/", deployments.retry, name="retry_revision"),
    path("revisions/<int:revision_id>/stop/", deployments.stop, name="stop_revision"),
    path("revisions/<int:revision_id>/start/", deployments.start, name="start_revision"),
    path("models/", models.listing, name="models"),
    path("models/import/", models.start_import, name="import_model"),
    path("models/train/", models.start_training, name="train_model"),
    path("models/plan/", planning.page, name="plan"),
    path("models/adapt/", adapting.page, name="adapt"),
    path("models/adapt/conversations/", adapting.send, name="send_conversations"),
    path("models/adapt/start/", adapting.start, name="start_adaptation"),
    path("models/<slug:name>/<int:number>/adapter/", adapting.adapter, name="adapter"),
    path("models/<slug:name>/<int:number>/", models.version, name="version"),
    path("models/<slug:name>/<int:number>/delete/", models.delete, name="delete_version"),
    path("workers/", workers.listing, name="workers"),
    path("jobs/", jobs.listing, name="jobs"),
    path("jobs/<uuid:job_id>/", jobs.detail, name="job"),
    path("jobs/<uuid:job_id>/cancel/", jobs.cancel, name="cancel_job"),
    path("jobs/<uuid:job_id>/retry/", jobs.retry, name="retry_job"),
    path("audit/", audit.listing, name="audit"),
    path("audit/csv/", audit.export, name="audit_csv"),
]
