import "reflect-metadata";
import {
  type CanActivate,
  Controller,
  createParamDecorator,
  type ExecutionContext,
  ForbiddenException,
  Get,
  Header,
  Injectable,
  Module,
  UseGuards,
} from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import type { Request } from "express";

interface User {
  id: string;
  name: string;
  role: "user" | "admin";
}

// Who the proxy says it is; null where a rule lets strangers pass.
function userOf(context: ExecutionContext): User | null {
  const request = context.switchToHttp().getRequest<Request>();
  const id = request.get("Remote-User");
  if (!id) return null;
  const name = decodeURIComponent(request.get("Remote-Name") ?? "");
  const role = request.get("Remote-Groups") === "admin" ? "admin" : "user";
  return { id, name, role };
}

const CurrentUser = createParamDecorator((_: unknown, context: ExecutionContext) =>
  userOf(context),
);

@Injectable()
class Admins implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (userOf(context)?.role !== "admin") throw new ForbiddenException();
    return true;
  }
}

@Controller()
class Greetings {
  @Get()
  @Header("Content-Type", "text/plain; charset=utf-8")
  hello(@CurrentUser() user: User): string {
    return `Hello, ${user.name}, who is ${user.id}.\n`;
  }

  @Get("public")
  @Header("Content-Type", "text/plain; charset=utf-8")
  anyone(@CurrentUser() user: User | null): string {
    return `Hello, ${user ? user.name : "stranger"}.\n`;
  }

  @Get("statistics")
  @UseGuards(Admins)
  statistics(): string {
    return "Only administrators see this.\n";
  }
}

@Module({ controllers: [Greetings] })
class App {}

const app = await NestFactory.create(App, { logger: ["error", "warn"] });
// Loopback: whoever could connect past the proxy could say to be anybody.
await app.listen(process.env.PORT ?? 3000, "127.0.0.1");
