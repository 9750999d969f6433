from django.http import HttpRequest, HttpResponse


def listing(request): ...


save = effect = preset = remove = listing
