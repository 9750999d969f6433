import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.utils.timezone
import pgvector.django.halfvec
import uuid
from django.conf import settings
from django.db import migrations, models
from pgvector.django import VectorExtension


# One partition an index (apps/search/vectors.py).
PARTITIONED = """
CREATE TABLE search_vector (
  index_id bigint NOT NULL,
  picture_id uuid NOT NULL,
  embedding halfvec NOT NULL,
  PRIMARY KEY (index_id, picture_id)
) PARTITION BY LIST (index_id)
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '0005_people_and_invitations'),
        ('registry', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        VectorExtension(),
        migrations.CreateModel(
            name='Collection',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('keeps_location', models.BooleanField(default=False, verbose_name='keep where pictures were taken')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('key', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='accounts.apikey')),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='collections', to=settings.AUTH_USER_MODEL)),
                ('team', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='collections', to='accounts.team')),
            ],
            options={
                'ordering': ['name', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='CatalogueText',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.CharField(blank=True, max_length=80)),
                ('text', models.CharField(max_length=1000)),
                ('collection', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='texts', to='search.collection')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='Index',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('deployment', models.CharField(max_length=80)),
                ('dimensions', models.PositiveIntegerField()),
                ('state', models.CharField(choices=[('building', 'building'), ('serving', 'serving')], default='building', max_length=8)),
                ('problem', models.CharField(blank=True, max_length=400)),
                ('recall', models.FloatField(blank=True, null=True)),
                ('recall_ms', models.FloatField(blank=True, null=True)),
                ('recall_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('collection', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='indexes', to='search.collection')),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='registry.modelversion')),
            ],
            options={
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Picture',
            fields=[
                ('id', models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ('sha256', models.CharField(max_length=64)),
                ('phash', models.BigIntegerField()),
                ('colour', models.IntegerField()),
                ('name', models.CharField(max_length=200)),
                ('kind', models.CharField(max_length=5)),
                ('width', models.PositiveIntegerField()),
                ('height', models.PositiveIntegerField()),
                ('bytes', models.PositiveBigIntegerField()),
                ('file', models.CharField(max_length=200)),
                ('thumbnail', models.CharField(max_length=200)),
                ('caption', models.CharField(blank=True, max_length=1000)),
                ('tags', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=40), blank=True, default=list, size=None)),
                ('taken_at', models.DateTimeField(blank=True, null=True)),
                ('added_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('held_as', models.CharField(max_length=120)),
                ('collection', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='pictures', to='search.collection')),
            ],
        ),
        migrations.CreateModel(
            name='Pending',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('sent', 'sent'), ('failed', 'failed')], default='waiting', max_length=8)),
                ('request_id', models.CharField(blank=True, max_length=64)),
                ('place', models.PositiveSmallIntegerField(default=0)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('error', models.CharField(blank=True, max_length=400)),
                ('index', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='pending', to='search.index')),
                ('text', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='search.cataloguetext')),
                ('picture', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='search.picture')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='Click',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('query', models.CharField(max_length=2000)),
                ('place', models.PositiveIntegerField()),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('text', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='search.cataloguetext')),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('collection', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='clicks', to='search.collection')),
                ('picture', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='search.picture')),
            ],
        ),
        migrations.CreateModel(
            name='QueryPicture',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=200)),
                ('file', models.FileField(blank=True, max_length=200, upload_to='search/incoming/')),
                ('thumbnail', models.CharField(blank=True, max_length=200)),
                ('error', models.CharField(blank=True, max_length=400)),
                ('created_at', models.DateTimeField(db_index=True, default=django.utils.timezone.now)),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='SavedSearch',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('query', models.CharField(max_length=2000)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('collection', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='searches', to='search.collection')),
                ('owner', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name_plural': 'saved searches',
                'ordering': ['name', 'pk'],
            },
        ),
        migrations.CreateModel(
            name='TextVector',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('embedding', pgvector.django.halfvec.HalfVectorField()),
                ('index', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='text_vectors', to='search.index')),
                ('text', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='vectors', to='search.cataloguetext')),
            ],
        ),
        migrations.CreateModel(
            name='Upload',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('is_paused', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('collection', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='uploads', to='search.collection')),
            ],
            options={
                'ordering': ['-created_at'],
            },
        ),
        migrations.CreateModel(
            name='UploadItem',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=200)),
                ('file', models.FileField(blank=True, max_length=200, upload_to='search/incoming/')),
                ('position', models.PositiveIntegerField(blank=True, null=True)),
                ('state', models.CharField(choices=[('waiting', 'waiting'), ('reading', 'being read'), ('stored', 'stored, not yet in the index'), ('done', 'can be found'), ('known', 'was there already'), ('failed', 'failed')], default='waiting', max_length=8)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('claimed_at', models.DateTimeField(blank=True, null=True)),
                ('error', models.CharField(blank=True, max_length=400)),
                ('picture', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='items', to='search.picture')),
                ('upload', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='items', to='search.upload')),
            ],
            options={
                'ordering': ['pk'],
            },
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.CreateModel(
                    name='Vector',
                    fields=[
                        ('pk', models.CompositePrimaryKey('index_id', 'picture_id', blank=True, editable=False, primary_key=True, serialize=False)),
                        ('embedding', pgvector.django.halfvec.HalfVectorField()),
                        ('index', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='search.index')),
                        ('picture', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, to='search.picture')),
                    ],
                ),
            ],
            database_operations=[migrations.RunSQL(PARTITIONED, "DROP TABLE search_vector")],
        ),
        migrations.AddIndex(
            model_name='collection',
            index=models.Index(fields=['owner', '-created_at'], name='collection_of_owner'),
        ),
        migrations.AddConstraint(
            model_name='cataloguetext',
            constraint=models.UniqueConstraint(fields=('collection', 'code', 'text'), name='text_once'),
        ),
        migrations.AddConstraint(
            model_name='index',
            constraint=models.UniqueConstraint(fields=('collection', 'state'), name='one_index_each'),
        ),
        migrations.AddIndex(
            model_name='picture',
            index=models.Index(fields=['collection', '-added_at', '-id'], name='picture_newest'),
        ),
        migrations.AddIndex(
            model_name='picture',
            index=models.Index(fields=['collection', 'phash'], name='picture_phash'),
        ),
        migrations.AddIndex(
            model_name='picture',
            index=django.contrib.postgres.indexes.GinIndex(fields=['tags'], name='picture_tags'),
        ),
        migrations.AddConstraint(
            model_name='picture',
            constraint=models.UniqueConstraint(fields=('collection', 'sha256'), name='picture_once'),
        ),
        migrations.AddIndex(
            model_name='pending',
            index=models.Index(fields=['index', 'state', 'id'], name='pending_next'),
        ),
        migrations.AddIndex(
            model_name='pending',
            index=models.Index(condition=models.Q(('state', 'sent')), fields=['request_id'], name='pending_of_request'),
        ),
        migrations.AddConstraint(
            model_name='pending',
            constraint=models.UniqueConstraint(fields=('index', 'picture'), name='pending_picture_once'),
        ),
        migrations.AddConstraint(
            model_name='pending',
            constraint=models.UniqueConstraint(fields=('index', 'text'), name='pending_text_once'),
        ),
        migrations.AddConstraint(
            model_name='pending',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('picture', None), ('text__isnull', False)), models.Q(('picture__isnull', False), ('text', None)), _connector='OR'), name='pending_is_of_one'),
        ),
        migrations.AddIndex(
            model_name='click',
            index=models.Index(fields=['collection', '-created_at'], name='click_of_collection'),
        ),
        migrations.AddConstraint(
            model_name='textvector',
            constraint=models.UniqueConstraint(fields=('index', 'text'), name='text_vector_once'),
        ),
        migrations.AddIndex(
            model_name='upload',
            index=models.Index(fields=['collection', '-created_at'], name='upload_of_collection'),
        ),
        migrations.AddIndex(
            model_name='uploaditem',
            index=models.Index(fields=['upload', 'state'], name='item_of_upload'),
        ),
        migrations.AddIndex(
            model_name='uploaditem',
            index=models.Index(condition=models.Q(('state__in', ['waiting', 'reading'])), fields=['id'], name='item_to_read'),
        ),
        migrations.AddIndex(
            model_name='uploaditem',
            index=models.Index(condition=models.Q(('state', 'stored')), fields=['picture'], name='item_stored'),
        ),
    ]
