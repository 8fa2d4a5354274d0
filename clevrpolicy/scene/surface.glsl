#version 330 core
// The look of the ground, of rubber and of metal under CLEVR's lamps, as Blender's Cycles renders it.
// All light is linear; its units are Blender's. Only the last line converts it to sRGB.

uniform mat4 objects[16];  // columns: center and radius; cosine and sine of the rotation, metal (0 or 1), shape; color
uniform int object_count;
uniform mat4 lamps[4];     // columns: position and radius; intensity; direction that the lamp faces
uniform sampler2D shares;  // a map of the ground: the visible share of each lamp
uniform sampler2D tints;   // a map of the ground: the objects that it faces, as color and share
uniform vec3 cam_pos;

in vec3 frag_position;
in vec3 frag_normal;
#ifdef COLOR_0_LOC
in vec4 color_multiplier;  // of objects only; red is the index of the object
#endif

out vec4 frag_color;

const float PI = 3.14159265;
const float FAR = 1e6;
const int CUBE = 0;    // the shapes in the order of ontology.ATTRIBUTES
const int SPHERE = 1;
const float REACH = 8.0;                        // both maps show x and y from -REACH to REACH
const vec2 FORWARD = vec2(-0.9040, 0.4275);     // the direction in which the ground bends up (shapes.py)
const float WALL_DISTANCE = 16.0;
// CLEVR's materials: what share of light the ground reflects; indices of refraction of rubber's gloss and sheen;
// gloss of rubber; shares of metal's two reflections, and how much its roughness along and across differs.
const float GROUND = 0.8;
const float COAT_INDEX = 1.2;
const float SHEEN_INDEX = 1.4;
const float COAT = 0.8;
const float HAZY_SHARE = 0.4;
const vec2 GRAIN = vec2(0.88, 1.136);

// Fitted by tests/bench/fit_look.py.
const float LAMP_SCALE = 1.14;        // lamps and sun are brighter by these factors than their power says
const float SUN_SCALE = 0.9502;
const float WALL_LIGHT = 0.1101;      // light that the wall sends to the ground
const float WALL = 0.09543;           // radiance of the wall
const float WALL_HEIGHT = 15.41;
const float GROUND_EDGE = 7.303;      // distance from the origin to the edge of the ground below the camera
const float TINT = 0.3872;            // light that objects send to the ground, and that they keep from it
const float HIDE = 0.101;
const float BOUNCE = 0.8114;          // light that the ground sends to objects: factor, where it comes from
const float BOUNCE_REACH = 0.5079;
const float BOUNCE_BLUR = 0.8581;
const float BOUNCE_SKY = 0.06057;
const float CONTACT = 22.09;          // how fast it gets darker toward the ground
const float BALL = 1.194;             // radius of the ball that stands for an object that shades another one
const float SHEEN = 0.7572;           // rubber
const float RUBBER_ROUGHNESS = 0.2882;
const float HAZY_ROUGHNESS = 0.1724;  // metal
const float CLEAR_ROUGHNESS = 0.0007488;
const float LAMP_BLUR = 0.2941;       // how much a lamp's radius, and a normal that turns within a pixel, widen a gloss
const float PIXEL_TURN = 0.2123;
const float HAZE = 1.098;
const float SEEN_RUBBER = 0.6696;     // what metal reflects of other objects
const float SEEN_AMBIENT = 0.1729;
const float SEEN_METAL = 0.1347;

// The light of one lamp at a point.
struct Light {
    vec3 way;      // unit vector to the lamp
    vec3 arrives;  // on a surface that faces the lamp
    float spread;  // radius of the lamp, divided by its distance
};

Light light(int lamp, vec3 point) {
    vec3 way = lamps[lamp][0].xyz - point;
    float square = dot(way, way);
    float inverse = inversesqrt(square);
    way *= inverse;
    float scale = lamp == 3 ? SUN_SCALE : LAMP_SCALE;
    float faces = max(-dot(way, lamps[lamp][2].xyz), 0.0);
    return Light(way, lamps[lamp][1].rgb * (scale * faces / square), lamps[lamp][0].w * inverse);
}

// A value of a map, averaged over `blur` world units.
vec4 mapped(sampler2D map, vec2 point, float blur) {
    float texels = blur * float(textureSize(map, 0).x) / (2.0 * REACH);
    return textureLod(map, point * (0.5 / REACH) + 0.5, log2(max(texels, 1.0)));
}

// Radiance of the ground.
vec3 ground(vec3 point, vec3 normal, float blur) {
    vec4 share = mapped(shares, point.xy, blur);
    vec4 tint = mapped(tints, point.xy, blur);
    vec3 arrived = vec3(WALL_LIGHT) + TINT * tint.rgb - HIDE * tint.a;
    for (int lamp = 0; lamp < 4; lamp++) {
        Light from = light(lamp, point);
        arrived += from.arrives * (max(dot(normal, from.way), 0.0) * share[lamp]);
    }
    return arrived * (GROUND / PI);
}

#ifdef COLOR_0_LOC
// The share of each lamp that is visible past all objects but one, taken as balls.
vec4 visible(Light from[4], vec3 point, int self) {
    vec4 share = vec4(1.0);
    for (int index = 0; index < object_count; index++) {
        vec4 ball = objects[index][0];
        vec3 offset = ball.xyz - point;
        float square = dot(offset, offset);
        for (int lamp = 0; lamp < 4; lamp++) {
            float along = dot(offset, from[lamp].way);
            float miss = sqrt(max(square - along * along, 0.0)) - BALL * ball.w;
            float width = max(from[lamp].spread * along, 1e-3);
            share[lamp] *= index == self || along < 0.0 ? 1.0 : smoothstep(-width, width, miss);
        }
    }
    return share;
}

vec3 turned(vec3 v, vec2 rotation) {
    return vec3(v.x * rotation.x + v.y * rotation.y, v.y * rotation.x - v.x * rotation.y, v.z);
}

// Distance along a ray to an object, FAR if the ray misses it, and the normal there.
float meet(mat4 object, vec3 point, vec3 ray, out vec3 normal) {
    float radius = object[0].w;
    int shape = int(object[1].w);
    vec3 from = turned(point - object[0].xyz, object[1].xy);
    vec3 way = turned(ray, object[1].xy) + 1e-5;
    // Between the planes of the three pairs of faces. Only a cube has the first two.
    vec3 middle = -from / way;
    vec3 depth = radius / abs(way);
    vec3 enter = middle - depth;
    vec3 leave = middle + depth;
    // Inside a ball, or inside the infinite cylinder.
    vec3 curved = shape == SPHERE ? way : vec3(way.xy, 0.0);
    float square = dot(curved, curved);
    float linear = dot(from, curved) / square;
    vec3 level = shape == SPHERE ? from : vec3(from.xy, 0.0);
    float inner = linear * linear - (dot(level, level) - radius * radius) / square;
    float root = sqrt(max(inner, 0.0));
    if (shape != CUBE) {
        enter = vec3(-linear - root, -FAR, shape == SPHERE ? -FAR : enter.z);
        leave = vec3(root - linear, FAR, shape == SPHERE ? FAR : leave.z);
    }
    float start = max(max(enter.x, enter.y), enter.z);
    float end = min(min(leave.x, leave.y), leave.z);
    vec3 at = level + start * curved;
    vec3 face = -sign(way) * vec3(equal(enter, vec3(start)));
    normal = normalize(turned(shape == CUBE || start == enter.z ? face : at, object[1].xy * vec2(1.0, -1.0)));
    return start < end && start > 0.0 && (shape == CUBE || inner > 0.0) ? start : FAR;
}

// What metal sees of another object: its light without shadows.
vec3 seen_object(mat4 object, vec3 point, vec3 normal) {
    vec3 arrived = vec3(SEEN_AMBIENT * PI);
    for (int lamp = 0; lamp < 4; lamp++) {
        Light from = light(lamp, point);
        arrived += from.arrives * max(dot(normal, from.way), 0.0);
    }
    return object[2].rgb * mix(SEEN_RUBBER / PI * arrived, vec3(SEEN_METAL), object[1].z);
}

// Reflected share of light at a boundary between air and a medium with this index of refraction.
float fresnel(float cosine, float index) {
    float g = sqrt(index * index - 1.0 + cosine * cosine);
    float a = (g - cosine) / (g + cosine);
    float b = (cosine * (g + cosine) - 1.0) / (cosine * (g - cosine) + 1.0);
    return 0.5 * a * a * (1.0 + b * b);
}

// Reflected share of a lamp's light, by the microfacet model GGX. The frame's columns are the directions of the
// two roughnesses and the normal.
float gloss(Light from, mat3 frame, vec3 view, vec2 roughness) {
    vec3 halfway = normalize(from.way - view) * frame;
    vec2 slope = halfway.xy / roughness;
    float peak = dot(slope, slope) + halfway.z * halfway.z;
    float square = roughness.x * roughness.y;
    float leaving = max(-dot(frame[2], view), 1e-3);
    float arriving = max(dot(frame[2], from.way), 0.0);
    float masking = leaving * sqrt(square + (1.0 - square) * arriving * arriving)
        + arriving * sqrt(square + (1.0 - square) * leaving * leaving);
    return 0.5 * arriving / max(PI * square * peak * peak * masking, 1e-6);
}

vec3 object_color(int self, vec3 point, vec3 normal) {
    mat4 object = objects[self];
    bool metal = object[1].z == 1.0;
    vec3 view = normalize(point - cam_pos);
    // At outlines, interpolation can give normals that face away from the camera.
    normal = normalize(normal - max(dot(view, normal) + 0.05, 0.0) * view);
    vec3 mirrored = reflect(view, normal);

    // Lamps. Where the normal turns within a pixel, as at edges, a gloss covers more directions.
    vec3 turn_x = dFdx(normal);
    vec3 turn_y = dFdy(normal);
    float turn = PIXEL_TURN * sqrt(min(dot(turn_x, turn_x) + dot(turn_y, turn_y), 0.5));
    vec3 around = normalize(vec3(object[0].y - point.y, point.x - object[0].x, 0.0) + 1e-4);
    vec3 across = normalize(cross(around, normal));
    mat3 frame = mat3(cross(normal, across), across, normal);
    vec2 roughness = metal ? HAZY_ROUGHNESS * GRAIN : vec2(RUBBER_ROUGHNESS);
    vec3 arrived = vec3(0.0);
    vec3 hazy = vec3(0.0);
    vec3 clear = vec3(0.0);
    Light from[4];
    for (int lamp = 0; lamp < 4; lamp++)
        from[lamp] = light(lamp, point);
    vec4 share = visible(from, point, self);
    for (int lamp = 0; lamp < 4; lamp++) {
        vec3 arrives = from[lamp].arrives * share[lamp];
        float spread = from[lamp].spread;
        arrived += arrives * max(dot(normal, from[lamp].way), 0.0);
        hazy += arrives * gloss(from[lamp], frame, view, roughness + 0.25 * spread + turn);
        clear += arrives * gloss(from[lamp], frame, view, vec2(CLEAR_ROUGHNESS + LAMP_BLUR * spread + turn));
    }

    // The ground: for rubber, the part that the surface faces; for metal, the point that it reflects.
    float down = 0.5 - 0.5 * normal.z;
    vec2 rubber_way = normal.xy * BOUNCE_REACH / max(down, 0.3);
    vec2 metal_way = mirrored.xy / max(-mirrored.z, 0.03);
    vec2 place = point.xy + point.z * (metal ? metal_way : rubber_way);
    vec3 below = ground(vec3(place, 0.0), vec3(0.0, 0.0, 1.0), metal ? 0.0 : BOUNCE_BLUR);
    float open = 1.0 - down * exp(-CONTACT * point.z);

    if (!metal) {
        float coat = fresnel(-dot(view, normal), COAT_INDEX);
        float sheen = fresnel(-dot(view, normal), SHEEN_INDEX);
        arrived += (below * (PI * down * BOUNCE) + BOUNCE_SKY) * open;
        hazy += below * (1.0 - smoothstep(-0.35, 0.35, mirrored.z));
        return mix(object[2].rgb / PI * arrived * mix(1.0, SHEEN, sheen), COAT * hazy, coat);
    }

    // What metal reflects: the ground as far as its edge, the wall, darkness above, and the nearest other object.
    below = mix(below, vec3(WALL), smoothstep(8.0, 18.0, dot(place, FORWARD)));
    float forward = dot(mirrored.xy, FORWARD);
    float height = WALL_DISTANCE * mirrored.z / max(forward, 0.01);
    vec3 above = vec3(WALL * (1.0 - smoothstep(WALL_HEIGHT - 6.0, WALL_HEIGHT + 6.0, height)));
    float edge = max(-forward, 0.0) * point.z / (GROUND_EDGE + dot(point.xy, FORWARD));
    vec3 sharp = mix(below, above, smoothstep(-0.02, 0.02, mirrored.z + edge)) * open;
    vec3 soft = mix(below, above, smoothstep(-HAZE, HAZE, mirrored.z + edge));
    float nearest = FAR;
    vec3 other_normal = vec3(0.0, 0.0, 1.0);
    int other = 0;
    for (int index = 0; index < object_count; index++) {
        vec3 there;
        float away = meet(objects[index], point, mirrored, there);
        if (index != self && away < nearest) {
            nearest = away;
            other_normal = there;
            other = index;
        }
    }
    if (nearest < FAR) {
        sharp = seen_object(objects[other], point + nearest * mirrored, other_normal);
        soft = mix(soft, sharp, 0.7);
    }
    return object[2].rgb * mix(clear + sharp, hazy + soft, HAZY_SHARE);
}
#endif

vec3 srgb(vec3 color) {
    vec3 bright = 1.055 * pow(color, vec3(1.0 / 2.4)) - 0.055;
    return mix(color * 12.92, bright, step(0.0031308, color));
}

void main() {
    vec3 normal = normalize(frag_normal);
#ifdef COLOR_0_LOC
    vec3 color = object_color(int(color_multiplier.r + 0.5), frag_position, normal);
#else
    vec3 color = ground(frag_position, normal, 0.0);
#endif
    frag_color = vec4(srgb(clamp(color, 0.0, 1.0)), 1.0);
}
